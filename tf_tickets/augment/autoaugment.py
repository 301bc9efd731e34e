"""The three AutoAugment tables (Cubuk et al., CVPR 2019) and what a level means.

Each table has 25 sub-policies of two operations: (operation, probability, level 0..9).
"""

TABLES = {
    "cifar10": (
        (("invert", 0.1, 7), ("contrast", 0.2, 6)),
        (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
        (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
        (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
        (("autocontrast", 0.5, 8), ("equalize", 0.9, 2)),
        (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
        (("color", 0.4, 3), ("brightness", 0.6, 7)),
        (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
        (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
        (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
        (("color", 0.7, 7), ("translate_x", 0.5, 8)),
        (("equalize", 0.3, 7), ("autocontrast", 0.4, 8)),
        (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
        (("brightness", 0.9, 6), ("color", 0.2, 8)),
        (("solarize", 0.5, 2), ("invert", 0.0, 3)),
        (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
        (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
        (("color", 0.9, 9), ("equalize", 0.6, 6)),
        (("autocontrast", 0.8, 4), ("solarize", 0.2, 8)),
        (("brightness", 0.1, 3), ("color", 0.7, 0)),
        (("solarize", 0.4, 5), ("autocontrast", 0.9, 3)),
        (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
        (("autocontrast", 0.9, 2), ("solarize", 0.8, 3)),
        (("equalize", 0.8, 8), ("invert", 0.1, 3)),
        (("translate_y", 0.7, 9), ("autocontrast", 0.9, 1)),
    ),
    "imagenet": (
        (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
        (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
        (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
        (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
        (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
        (("equalize", 0.4, 4), ("rotate", 0.8, 8)),
        (("solarize", 0.6, 3), ("equalize", 0.6, 7)),
        (("posterize", 0.8, 5), ("equalize", 1.0, 2)),
        (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
        (("equalize", 0.6, 8), ("posterize", 0.4, 6)),
        (("rotate", 0.8, 8), ("color", 0.4, 0)),
        (("rotate", 0.4, 9), ("equalize", 0.6, 2)),
        (("equalize", 0.0, 7), ("equalize", 0.8, 8)),
        (("invert", 0.6, 4), ("equalize", 1.0, 8)),
        (("color", 0.6, 4), ("contrast", 1.0, 8)),
        (("rotate", 0.8, 8), ("color", 1.0, 2)),
        (("color", 0.8, 8), ("solarize", 0.8, 7)),
        (("sharpness", 0.4, 7), ("invert", 0.6, 8)),
        (("shear_x", 0.6, 5), ("equalize", 1.0, 9)),
        (("color", 0.4, 0), ("equalize", 0.6, 3)),
        (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
        (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
        (("invert", 0.6, 4), ("equalize", 1.0, 8)),
        (("color", 0.6, 4), ("contrast", 1.0, 8)),
        (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
    ),
    "svhn": (
        (("shear_x", 0.9, 4), ("invert", 0.2, 3)),
        (("shear_y", 0.9, 8), ("invert", 0.7, 5)),
        (("equalize", 0.6, 5), ("solarize", 0.6, 6)),
        (("invert", 0.9, 3), ("equalize", 0.6, 3)),
        (("equalize", 0.6, 1), ("rotate", 0.9, 3)),
        (("shear_x", 0.9, 4), ("autocontrast", 0.8, 3)),
        (("shear_y", 0.9, 8), ("invert", 0.4, 5)),
        (("shear_y", 0.9, 5), ("solarize", 0.2, 6)),
        (("invert", 0.9, 6), ("autocontrast", 0.8, 1)),
        (("equalize", 0.6, 3), ("rotate", 0.9, 3)),
        (("shear_x", 0.9, 4), ("solarize", 0.3, 3)),
        (("shear_y", 0.8, 8), ("invert", 0.7, 4)),
        (("equalize", 0.9, 5), ("translate_y", 0.6, 6)),
        (("invert", 0.9, 4), ("equalize", 0.6, 7)),
        (("contrast", 0.3, 3), ("rotate", 0.8, 4)),
        (("invert", 0.8, 5), ("translate_y", 0.0, 2)),
        (("shear_y", 0.7, 6), ("solarize", 0.4, 8)),
        (("invert", 0.6, 4), ("rotate", 0.8, 4)),
        (("shear_y", 0.3, 7), ("translate_x", 0.9, 3)),
        (("shear_x", 0.1, 6), ("invert", 0.6, 5)),
        (("solarize", 0.7, 2), ("translate_y", 0.6, 7)),
        (("shear_y", 0.8, 4), ("invert", 0.8, 8)),
        (("shear_x", 0.7, 9), ("translate_y", 0.8, 3)),
        (("shear_y", 0.8, 5), ("autocontrast", 0.7, 3)),
        (("shear_x", 0.7, 2), ("invert", 0.1, 5)),
    ),
}  # fmt: skip

# Level 0..9 to the operation's value: (value at level 0, value at level 9, how the sign is used). "change": the factor
# is 1 + value or 1 - value; "either": value or -value, at random; "as is": one value.
_RANGES = {
    "shear_x": (0.0, 0.3, "either"), "shear_y": (0.0, 0.3, "either"),
    "translate_x": (0.0, 150 / 331, "either"), "translate_y": (0.0, 150 / 331, "either"),
    "rotate": (0.0, 30.0, "either"), "color": (0.0, 0.9, "change"), "contrast": (0.0, 0.9, "change"),
    "brightness": (0.0, 0.9, "change"), "sharpness": (0.0, 0.9, "change"), "posterize": (8.0, 4.0, "as is"),
    "solarize": (256.0, 0.0, "as is"), "autocontrast": (0.0, 0.0, "as is"), "equalize": (0.0, 0.0, "as is"),
    "invert": (0.0, 0.0, "as is"),
}  # fmt: skip


def magnitude(operation: str, level: float) -> float:
    """The value of a level, without its sign; posterize's bits are whole."""
    low, high, _ = _RANGES[operation]
    value = low + (high - low) * level / 9
    return float(round(value)) if operation == "posterize" else value


def value(operation: str, level: float, sign: int) -> float:
    """What the operation is called with, for a random sign of -1 or 1."""
    size = magnitude(operation, level)
    use = _RANGES[operation][2]
    return {"as is": size, "either": sign * size, "change": 1.0 + sign * size}[use]
