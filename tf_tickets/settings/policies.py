"""The language of augmentation policies: `crop(4)|flip|rand(4)|cutout(16)`. Read without TensorFlow.

A policy is a preset, or a chain of operations separated by `|`; of the presets only `none` and `base` may stand in a
chain. No operation is spelled like a preset, so what a policy expands to means the same wherever it is read again.
Arguments are literal numbers or names. Operations are registered beside what they do, in `tf_tickets.augment` or in a
module of the user's own.
"""

import dataclasses
import difflib
import functools
import re
import typing
from collections.abc import Callable, Iterable

from tf_tickets.registry import OPERATIONS

AUTO_TABLES = ("cifar10", "imagenet", "svhn")


@dataclasses.dataclass(frozen=True)
class Argument:
    """One argument of an operation: a name among `choices`, else a number in [low, high]."""

    name: str
    type: Callable[[str], typing.Any] = float
    low: float = 0.0
    high: float = 1.0
    choices: tuple = ()

    def parse(self, text: str) -> str | float:
        """The value, or ValueError with what is accepted."""
        if self.choices:
            if text not in self.choices:
                raise ValueError(f"{self.name} '{text}' is not one of {', '.join(self.choices)}")
            return text
        pattern, kind = (r"\d{1,9}", "whole number") if self.type is int else (r"\d{1,9}(\.\d{1,9})?", "number")
        value = self.type(text) if re.fullmatch(pattern, text, re.ASCII) else None
        if value is None or not self.low <= value <= self.high:
            raise ValueError(f"{self.name} '{text}' is not a {kind} from {self.low:g} to {self.high:g}")
        return value


def amount(name: str, high: float = 1.0) -> Argument:
    """An argument that is a number from 0 to `high`."""
    return Argument(name, float, 0.0, high)


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation: what it does, and how it may be used.

    Attributes:
      function: (images, keys, slot, *arguments) -> images; of a mixing one (images, one_hot, keys, slot, *arguments) ->
        (images, one_hot). Images are uint8 or float32 [n, height, width, channels] tensors in 0..255 and keep type and
        shape; keys are int64 [n]; an image's draws, `augment.sampling`, take slots from `slot` to `slot + 63`.
      help: one sentence.
      arguments: what stands in its brackets.
      levels: works on whole grey levels, as Pillow does, and sees uint8 alone; float images are rounded first.
      colours: needs red, green and blue, or one grey channel.
      mixing: combines images and labels; only `augment.mix` does it, and only as the last of a chain.
      examples: uses that `analyze --what=augment` draws, such as "crop(4)".
    """

    function: typing.Callable
    help: str
    arguments: tuple[Argument, ...] = ()
    levels: bool = True
    colours: bool = False
    mixing: bool = False
    examples: tuple[str, ...] = ()


def register(
    name: str, text: str, *arguments: Argument, examples: str | tuple[str, ...] = (), **traits: bool
) -> typing.Callable:
    """A decorator that makes the function it decorates an operation of `--augment`.

    Args:
      name: as chains spell it, of lower-case letters, digits and _.
      text: one sentence for `--help`.
      arguments: what stands in its brackets.
      examples: one use, or several, for `analyze --what=augment`.
      traits: `levels`, `colours` and `mixing` of the Operation.

    Raises:
      ValueError: the name is taken, is no such name, or a chain could not tell it from a preset.
    """
    if not re.fullmatch("[a-z_0-9]+", name):
        raise ValueError(f"{name!r} is no name of an operation: use lower-case letters, digits and _")
    if any(preset.startswith(f"{name}(") if arguments else preset == name for preset in PRESETS):
        raise ValueError(f"{name!r} is a preset, which an operation cannot be called")
    examples = (examples,) if isinstance(examples, str) else examples

    def put(function):
        OPERATIONS.register(name)(Operation(function, text, arguments, examples=examples, **traits))
        return function

    return put


def augment_help() -> str:
    """What `--help` says of `--augment`."""
    spelt = (f"{name}({', '.join(argument.name for argument in operation.arguments)})" if operation.arguments else name
             for name, operation in OPERATIONS.items())  # fmt: skip
    return (
        "none, base, contrast, rand, auto, auto(imagenet), auto(svhn), custom, simclr, or a chain such as "
        f"'crop(4)|flip|rand(4)|cutout(16)'; unset: base, with pretrain simclr; operations: {', '.join(spelt)}"
    )


# {base} and {side} are the data set's.
PRESETS = {
    "none": "",
    "base": "{base}",
    "contrast": "{base}|jitter(0.4,0.4,0.4,0.1,0.8)|grey(0.2)",
    "rand": "{base}|rand(4)|cutout({side})",
    "auto": "{base}|autoaugment(cifar10)|cutout({side})",
    **{f"auto({table})": f"{{base}}|autoaugment({table})|cutout({{side}})" for table in AUTO_TABLES},
    "custom": "{base}|imgaug",
    "simclr": "resized_crop(0.08)|flip|jitter(0.4,0.4,0.4,0.1,0.8)|grey(0.2)",
}
SHORT_PRESETS = ("none", "base", "contrast", "rand", "auto", "custom", "simclr")


@dataclasses.dataclass(frozen=True)
class Step:
    """One operation of a chain with its parsed arguments."""

    name: str
    arguments: tuple

    @property
    def operation(self) -> Operation:
        """The Operation that `name` means."""
        return OPERATIONS[self.name]


@functools.cache
def parse(policy: str, base: str = "crop(4)|flip", side: int = 16) -> tuple[Step, ...]:
    """A policy as a tuple of Steps.

    Args:
      policy: a preset or a chain.
      base: the chain that `base` means on the data set.
      side: the side of the presets' cutout, in pixels.

    Raises:
      ValueError: with what is wrong and what is accepted, without the flag's name.
    """
    chain = expand(policy, base, side)
    steps = tuple(_step(part) for part in chain.split("|")) if chain else ()
    if any(step.operation.mixing for step in steps[:-1]):
        raise ValueError("names a mixing operation that is not the last of the chain")
    return steps


def expand(policy: str, base: str = "crop(4)|flip", side: int = 16) -> str:
    """The chain of operations that a policy means, such as "crop(4)|flip|rand(4)|cutout(16)"; "" for none."""
    whole = policy.replace(" ", "")
    if whole in PRESETS:
        text = PRESETS[whole].format(base=base, side=side).strip("|")
        # Handwriting is never mirrored, whatever the preset.
        return text if "flip" in base.split("|") else text.replace("|flip|", "|").replace("|imgaug", "|imgaug_upright")
    parts = [part.strip() for part in policy.split("|")] if policy else []
    if not all(parts):
        raise ValueError("has an empty place in its chain")
    inside = {"none": "", "base": base}
    return "|".join(text for text in (inside.get(part, part) for part in parts) if text)


def _step(part):
    match = re.fullmatch(r"([a-z_0-9]+)\s*(?:\(([^()|]*)\))?", part)
    if not match:
        raise ValueError(f"has '{part}' where an operation such as crop(4) is wanted")
    name, inner = match[1], (match[2] or "").strip()
    if part in PRESETS:
        meaning = PRESETS[part].format(base="base", side=16)
        raise ValueError(f"has the preset '{part}' inside a chain: alone it means {meaning}")
    if name not in OPERATIONS:
        close = difflib.get_close_matches(name, [*SHORT_PRESETS, *OPERATIONS], 1)
        hint = f"did you mean {close[0]}? " if close else ""
        known = f"presets are {', '.join(SHORT_PRESETS)}; operations are {', '.join(OPERATIONS)}"
        raise ValueError(f"names '{name}', which is unknown: {hint}{known}")
    wanted = OPERATIONS[name].arguments
    texts = [text.strip() for text in inner.split(",")] if inner else []
    if len(texts) != len(wanted):
        usage = f"{name}({', '.join(argument.name for argument in wanted)})" if wanted else f"{name} without arguments"
        raise ValueError(f"has '{part}': write {usage}")
    try:
        return Step(name, tuple(argument.parse(text) for argument, text in zip(wanted, texts)))
    except ValueError as error:
        raise ValueError(f"has '{part}': {error}") from None


def check(policy: str) -> str | None:
    """The problem with a policy, or None."""
    try:
        parse(policy)
    except ValueError as error:
        return str(error)
    return None


def check_channels(policy: Iterable[Step], channels: int) -> str | None:
    """The problem that a parsed policy has with images of so many channels, or None."""
    for step in policy:
        if step.operation.colours and channels not in (1, 3):
            fit = [n for n, operation in OPERATIONS.items() if not operation.colours]
            return f"'{step.name}' changes colours and these images have {channels} channels: use {', '.join(fit)}"
    return None
