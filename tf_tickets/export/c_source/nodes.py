"""The operations of a network in C, of the runtime's steps: shapes known, rectifiers part of what they follow."""

import collections
import dataclasses

import numpy as np

from tf_tickets.runtime import execution
from tf_tickets.runtime.program import Step

# What no float32 exceeds: the bounds of results that no rectifier follows.
LARGEST = 3.40282347e38
_FILTERS = ("convolution", "harmonic", "depthwise", "cosine_filters")
_BOUNDED = (*_FILTERS, "add", "normalisation", "rescale")


@dataclasses.dataclass
class Node:
    """One operation and its result.

    Attributes:
      step: the Step of the runtime's program.
      inputs: names of the results that it takes.
      given: (channels, height, width) of the first of them.
      shape: of its own result; a vector is of height and width 1.
      low, high: what smaller and larger results become.
      added: rows and columns of zeros (before, after) that an operation before it adds to its padding.
    """

    step: Step
    inputs: tuple
    given: tuple
    shape: tuple
    low: float = -LARGEST
    high: float = LARGEST
    added: tuple = (0, 0)

    @property
    def name(self) -> str:
        """Of its result."""
        return self.step.name

    @property
    def slides(self) -> bool:
        """Whether filters move over its input."""
        return self.step.operation in _FILTERS

    @property
    def size(self) -> int:
        """Rows and columns of its filters."""
        return self.step.settings["size"] if self.step.operation == "cosine_filters" else self.step.weights.shape[0]

    @property
    def padding(self) -> tuple[int, int]:
        """Rows and columns of zeros before and after the pixels."""
        cosine = self.step.operation == "cosine_filters"
        before, after = pair(self.size // 2 if cosine else self.step.settings["padding"])
        return before + self.added[0], after + self.added[1]

    @property
    def stride(self) -> int:
        """Of its filters, in pixels."""
        return self.step.settings["stride"]


def of(steps: list[Step], image_shape: tuple) -> list[Node]:
    """The Nodes of a program, the image first, the logits last.

    Args:
      steps: as `export.folded.steps` gives them.
      image_shape: (height, width, channels).

    Raises:
      ValueError: the steps do not fit together.
    """
    execution.prepare(steps, image_shape)
    height, width, channels = image_shape
    image = Node(steps[0], (), (channels, height, width), (channels, height, width))
    uses = collections.Counter(name for step in steps for name in step.inputs)
    made, renamed, listed = {image.name: image}, {}, [image]
    for step in steps[1:]:
        inputs, added = tuple(renamed.get(name, name) for name in step.inputs), (0, 0)
        before = made[inputs[0]]
        if step.operation in ("relu", "bounded_relu") and _takes_bounds(before, uses):
            before.low, before.high = 0.0, step.settings.get("most", LARGEST)
            renamed[step.name], uses[before.name] = before.name, uses[step.name]
            continue
        if step.operation in _FILTERS and before.step.operation == "pad" and uses[before.name] == 1:
            listed.remove(before)
            inputs, added = before.inputs, pair(before.step.settings["padding"])
            before = made[inputs[0]]
        node = Node(step, inputs, before.shape, before.shape, added=added)
        node.shape = _shape(node)
        if step.operation in ("relu", "bounded_relu"):
            node.low, node.high = 0.0, step.settings.get("most", LARGEST)
        made[step.name] = node
        listed.append(node)
    return listed


def _takes_bounds(node, uses):
    """Whether a rectifier that follows can be part of it."""
    return node.step.operation in _BOUNDED and uses[node.name] == 1 and node.low < 0.0


def pair(padding: int | list) -> tuple[int, int]:
    """Rows and columns of zeros (before, after) the pixels, of a setting that is one number where both are equal."""
    return tuple(padding) if isinstance(padding, list) else (padding, padding)


def _shape(node):
    """Of a node's result, from its input's."""
    step, (channels, height, width) = node.step, node.given
    settings, sides = step.settings, (height, width)
    if node.slides:
        outputs = {"depthwise": channels, "cosine_filters": channels * node.size**2}.get(step.operation)
        padded = (side + sum(node.padding) - node.size for side in sides)
        return outputs or step.weights.shape[3], *(side // node.stride + 1 for side in padded)
    if step.operation == "pad":
        return channels, *(side + sum(pair(settings["padding"])) for side in sides)
    if step.operation == "resize":
        return channels, *settings["sides"]
    if step.operation == "max_pool":
        return channels, *((side - settings["size"]) // settings["stride"] + 1 for side in sides)
    if step.operation == "mean":
        return channels, 1, 1
    if step.operation == "flatten":
        return channels * height * width, 1, 1
    if step.operation in ("dense", "similarity"):
        return step.weights.shape[1], 1, 1
    return node.given


def weights_left(node: Node) -> tuple[int, int]:
    """(weights that are not zero, all) of a convolution or a head."""
    return int(np.count_nonzero(node.step.weights)), node.step.weights.size
