"""The language of augmentation policies: `crop(4)|flip|rand(4)|cutout(16)`. Read without TensorFlow.

A policy is a preset, or a chain of operations separated by `|`; of the presets only `none` and `base` may stand in a
chain. No operation is spelled like a preset, so what a policy expands to means the same wherever it is read again.
Arguments are literal numbers or names. What the operations do is in `tf_tickets.augment`.
"""

import dataclasses
import difflib
import functools
import re

AUTO_TABLES = ("cifar10", "imagenet", "svhn")


@dataclasses.dataclass(frozen=True)
class Argument:
    """One argument of an operation: a name among `choices`, else a number in [low, high]."""

    name: str
    type: type = float
    low: float = 0.0
    high: float = 1.0
    choices: tuple = ()

    def parse(self, text):
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


@dataclasses.dataclass(frozen=True)
class Operation:
    """How an operation may be used.

    Attributes:
      help: one sentence.
      arguments: what stands in its brackets.
      levels: works on whole grey levels, as Pillow does; float images are rounded first.
      colours: needs red, green and blue, or one grey channel.
      mixing: combines images and labels; only `augment.mix` does it, and only as the last of a chain.
    """

    help: str
    arguments: tuple = ()
    levels: bool = True
    colours: bool = False
    mixing: bool = False


def _amount(name, high=1.0):
    return Argument(name, float, 0.0, high)


_PROBABILITY = _amount("probability")
_CHANGE = _amount("largest change")

OPERATIONS = {
    "crop": Operation("random crop from the image padded with black", (Argument("padding", int, 0, 64),), levels=False),
    "resized_crop": Operation(
        "a random part of the image, its share of the area U(x, 1), its ratio 3/4 to 4/3, resized to the whole",
        (_amount("smallest share"),),
    ),
    "flip": Operation("left-right mirror, probability 1/2", levels=False),
    "vertical_flip": Operation("top-bottom mirror, probability 1/2", levels=False),
    "rand": Operation("operations drawn with replacement from 14", (Argument("count", int, 1, 16),), colours=True),
    "autoaugment": Operation(
        "one AutoAugment sub-policy", (Argument("table", str, choices=AUTO_TABLES),), colours=True
    ),
    "jitter": Operation(
        "brightness, contrast, saturation and hue in random order",
        (
            _amount("brightness"), _amount("contrast"), _amount("saturation"), _amount("hue", 0.5),
            _PROBABILITY,
        ), colours=True,
    ),
    "grey": Operation("grey image", (_PROBABILITY,), colours=True),
    "imgaug": Operation("the release's imgaug list", colours=True),
    "imgaug_upright": Operation("the same without its mirrors", colours=True),
    "blur": Operation("Gaussian blur, sigma U(0.1, 2)", (_PROBABILITY,)),
    "cutout": Operation("one square filled with the mean", (Argument("side", int, 1, 512),), levels=False),
    "autocontrast": Operation("stretches each channel to 0..255"),
    "equalize": Operation("equalises each channel's histogram"),
    "invert": Operation("negative"),
    "solarize": Operation("inverts levels from a threshold U(0, 256) on"),
    "posterize": Operation("keeps floor U(bits, 8) bits", (Argument("bits", int, 1, 7),)),
    "color": Operation("colourfulness U(1 - x, 1 + x)", (_CHANGE,), colours=True),
    "contrast": Operation("contrast U(1 - x, 1 + x)", (_CHANGE,)),
    "brightness": Operation("brightness U(1 - x, 1 + x)", (_CHANGE,)),
    "sharpness": Operation("sharpness U(1 - x, 1 + x)", (_CHANGE,)),
    "hue": Operation("hue turned by U(-x, x) of the circle", (_amount("largest turn", 0.5),), colours=True),
    "rotate": Operation("rotation U(-x, x) degrees", (Argument("degrees", float, 0.0, 45.0),), levels=False),
    "shear_x": Operation("horizontal shear U(-x, x)", (_amount("factor"),), levels=False),
    "shear_y": Operation("vertical shear U(-x, x)", (_amount("factor"),), levels=False),
    "translate_x": Operation("shift by U(-x, x) of the width", (_amount("share"),), levels=False),
    "translate_y": Operation("shift by U(-x, x) of the height", (_amount("share"),), levels=False),
    "mixup": Operation("MixUp, lambda Beta(a, a)", (Argument("a", float, 0.01, 100.0),), levels=False, mixing=True),
    "cutmix": Operation("CutMix, lambda Beta(a, a)", (Argument("a", float, 0.01, 100.0),), levels=False, mixing=True),
}  # fmt: skip

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
    def operation(self):
        """The Operation that `name` means."""
        return OPERATIONS[self.name]


@functools.cache
def parse(policy, base="crop(4)|flip", side=16):
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


def expand(policy, base="crop(4)|flip", side=16):
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
    found = re.fullmatch(r"([a-z_0-9]+)\s*(?:\(([^()|]*)\))?", part)
    if not found:
        raise ValueError(f"has '{part}' where an operation such as crop(4) is wanted")
    name, inner = found[1], (found[2] or "").strip()
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


def check(policy):
    """The problem with a policy, or None."""
    try:
        parse(policy)
    except ValueError as error:
        return str(error)
    return None


def check_channels(policy, channels):
    """The problem that a parsed policy has with images of so many channels, or None."""
    for step in policy:
        if step.operation.colours and channels not in (1, 3):
            fit = [n for n, operation in OPERATIONS.items() if not operation.colours]
            return f"'{step.name}' changes colours and these images have {channels} channels: use {', '.join(fit)}"
    return None
