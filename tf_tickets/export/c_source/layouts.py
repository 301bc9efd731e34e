"""Where maps lie in the scratch memory: rows of one pitch, zeros around the pixels, and memory that is used again.

Pixel (channel, row, column) is the float `first + channel x plane + row x pitch + column` of its map. The zeros to the
right of a row are those to the left of the next, and the zeros below a channel those above the next.
"""

import collections
import dataclasses
import math

from tf_tickets.export.c_source.nodes import Node

# Kernels that compute a whole tile may read and write so many floats beyond a map.
_SLACK = 16


@dataclasses.dataclass
class Map:
    """The result of one node, in floats.

    Attributes:
      channels, height, width: of it.
      border: rows and columns of zeros around the pixels.
      pitch: from one row to the next.
      start: where in the scratch memory it begins.
    """

    channels: int
    height: int
    width: int
    border: int = 0
    pitch: int = 0
    start: int = 0

    @property
    def first(self) -> int:
        """Where in the scratch memory its first pixel lies."""
        return self.start + self.border * (self.pitch + 1)

    @property
    def plane(self) -> int:
        """From one channel to the next."""
        return (self.height + self.border) * self.pitch

    @property
    def size(self) -> int:
        """All of it."""
        return self.border * (self.pitch + 1) + self.channels * self.plane + _SLACK

    @property
    def length(self) -> int:
        """From a channel's first pixel to its last, those between the rows included."""
        return (self.height - 1) * self.pitch + self.width


@dataclasses.dataclass
class Phases:
    """The input of a convolution with a stride: every stride-th pixel in each direction as a map of its own.

    Attributes:
      used: (row, column) below the stride of each phase in use, in order.
      height: rows of each.
      width: columns of each, zeros included.
      pitch: that of the result.
      channels: of each phase.
      start: as of a Map.
    """

    used: list
    height: int
    width: int
    channels: int
    pitch: int = 0
    start: int = 0

    @property
    def plane(self) -> int:
        """From one channel to the next."""
        return self.height * self.pitch

    @property
    def size(self) -> int:
        """All of it."""
        return len(self.used) * self.channels * self.plane + _SLACK


def placed(nodes: list[Node]) -> tuple[dict[str, Map], dict[str, Phases], int]:
    """Places the result of every node.

    Returns:
      (the Map of each name, the Phases that a convolution with a stride reads by its name, floats of scratch memory).
    """
    maps = {node.name: Map(*node.shape) for node in nodes}
    phases = {node.name: _phases(node) for node in nodes if node.slides and node.stride > 1}
    leader = {name: name for name in maps}

    def group(name):
        while leader[name] != name:
            name = leader[name]
        return name

    for node in nodes:
        direct = node.slides and node.stride == 1
        if direct:
            maps[node.inputs[0]].border = max(maps[node.inputs[0]].border, *node.padding)
        if direct or node.step.operation in ("relu", "bounded_relu", "add", "normalisation", "rescale"):
            # These read and write rows of one pitch.
            for name in node.inputs:
                leader[group(name)] = group(node.name)
    pitches = collections.Counter()
    for name, kept in maps.items():
        wide = max(kept.width + kept.border, phases[name].width if name in phases else 0)
        pitches[group(name)] = max(pitches[group(name)], wide)
    for name, kept in maps.items():
        kept.pitch = pitches[group(name)]
        if name in phases:
            phases[name].pitch = kept.pitch
    return maps, phases, _place(nodes, maps, phases)


def _phases(node):
    """The Phases of a convolution's input, not placed."""
    channels, height, width = node.given
    stride, padding = node.stride, sum(node.padding)
    shifts = sorted({shift % stride for shift in range(node.size)})
    used = [(row, column) for row in shifts for column in shifts]
    high, wide = (math.ceil((side + padding) / stride) for side in (height, width))
    return Phases(used, high, wide, channels)


def _place(nodes, maps, phases):
    """Gives maps and phases their starts, the largest first, each the lowest that is free while it lives."""
    last = {name: index for index, node in enumerate(nodes) for name in node.inputs}
    wanted = [(maps[node.name], index, last.get(node.name, index)) for index, node in enumerate(nodes)]
    wanted += [(phases[node.name], index, index) for index, node in enumerate(nodes) if node.name in phases]
    standing, total = [], 0
    for part, begins, ends in sorted(wanted, key=lambda entry: -entry[0].size):
        beside = sorted(
            (placed_part.start, placed_part.start + placed_part.size)
            for placed_part, first, final in standing
            if first <= ends and begins <= final
        )
        start = 0
        for low, high in beside:
            if start + part.size <= low:
                break
            start = max(start, high)
        part.start = start
        standing.append((part, begins, ends))
        total = max(total, start + part.size)
    return total
