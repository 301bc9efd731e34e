"""What a ticket's document says of its data and of its temperature, checked for all who read it."""

import math

import numpy as np

from tf_tickets.runtime import characters

# Of one image; a hundred times what any data set here has.
_MOST_VALUES = 1 << 24
_TYPES = ("uint8", "uint16")
COLDEST, HOTTEST = 1e-3, 1e3


def check_data(data: dict) -> None:
    """ValueError unless labels, normalisation and stored type are such that images can be told apart by them."""
    labels = data["labels"]
    named = isinstance(labels, list) and all(isinstance(label, str) for label in labels) and labels
    if not named or len(set(labels)) != len(labels) or any(map(characters.refused, labels)):
        raise ValueError("its labels are not one name for each class")
    shape = data["image_shape"]
    whole = isinstance(shape, list) and len(shape) == 3 and all(type(side) is int and side > 0 for side in shape)
    if not whole or math.prod(shape) > _MOST_VALUES:
        raise ValueError("its images have no size that a picture has")
    scale = data.get("scale", 255.0)
    for part in ("mean", "deviation"):
        if not isinstance(data[part], list) or len(data[part]) != shape[2]:
            raise ValueError(f"its {part} is not one number a channel")
    if not all(map(_is_number, [*data["mean"], *data["deviation"], scale])):
        raise ValueError("its pixels are normalised by what is no number")
    # As float32, in which they are used, nothing of this is zero or infinite.
    if not all(1e-9 <= number <= 1e9 for number in (*data["deviation"], scale)) or max(map(abs, data["mean"])) > 1e9:
        raise ValueError("its pixels cannot be normalised")
    if data.get("dtype", "uint8") not in _TYPES or not isinstance(data.get("any_size", False), bool):
        raise ValueError("its images are of no known type")
    name = data.get("dataset")
    if not isinstance(name, str) or not name or characters.refused(name):
        raise ValueError("its data set has no name")


def check_temperature(calibration: dict | None) -> None:
    """ValueError unless a document's calibration is none, or has a temperature that logits can be divided by."""
    if calibration is None:
        return
    temperature = calibration.get("temperature") if isinstance(calibration, dict) else None
    if type(temperature) is not float or not COLDEST <= temperature <= HOTTEST:
        raise ValueError(f"its temperature is {ascii(temperature)[:40]}, no number from {COLDEST:g} to {HOTTEST:g}")


def check_density(density: float) -> float:
    """The density that a document records; ValueError unless it is a fraction."""
    if not isinstance(density, float) or not 0.0 <= density <= 1.0:
        raise ValueError("its density is no fraction")
    return density


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """softmax(logits / temperature) of float32 [n, classes], in float32."""
    if temperature != 1.0:
        logits = logits / np.float32(temperature)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)


def _is_number(value):
    return type(value) in (int, float) and math.isfinite(value)
