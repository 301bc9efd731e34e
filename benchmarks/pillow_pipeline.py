"""What the benchmark compares with: the presets one image at a time in Pillow, in processes. Needs no TensorFlow."""

import random

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

RAND = (
    ("identity", 0, 0), ("autocontrast", 0, 0), ("equalize", 0, 0), ("rotate", -30, 30), ("solarize", 0, 256),
    ("color", 0.05, 0.95), ("contrast", 0.05, 0.95), ("brightness", 0.05, 0.95), ("sharpness", 0.05, 0.95),
    ("shear_x", -0.1, 0.1), ("shear_y", -0.1, 0.1), ("translate_x", -0.1, 0.1), ("translate_y", -0.1, 0.1),
    ("posterize", 4, 8),
)  # fmt: skip


def _affine(image, matrix, fill, filter=Image.Resampling.NEAREST):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, filter, fillcolor=(fill,) * 3)


def operate(image, name, value, fill=0, bicubic=False):
    """One operation of `rand` or `auto` on a Pillow image."""
    shear = Image.Resampling.BICUBIC if bicubic else Image.Resampling.NEAREST
    width, height = image.size
    return {
        "identity": lambda: image,
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "invert": lambda: ImageOps.invert(image),
        "solarize": lambda: ImageOps.solarize(image, value),
        "posterize": lambda: ImageOps.posterize(image, int(value)),
        "color": lambda: ImageEnhance.Color(image).enhance(value),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(value),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(value),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(value),
        "rotate": lambda: image.rotate(value, fillcolor=(fill,) * 3),
        "shear_x": lambda: _affine(image, (1, value, 0, 0, 1, 0), fill, shear),
        "shear_y": lambda: _affine(image, (1, 0, 0, value, 1, 0), fill, shear),
        "translate_x": lambda: _affine(image, (1, 0, value * width, 0, 1, 0), fill),
        "translate_y": lambda: _affine(image, (1, 0, 0, 0, 1, value * height), fill),
        "hue": lambda: _hue(image, value),
    }[name]()


def _hue(image, turn):
    hue, saturation, value = image.convert("HSV").split()
    turned = (np.asarray(hue).astype(np.int16) + int(turn * 255)).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned, "L"), saturation, value)).convert("RGB")


def base(pixels):
    """Crop with padding 4 and mirror; uint8 array to Pillow image."""
    height, width = pixels.shape[:2]
    image = ImageOps.expand(Image.fromarray(pixels), 4)
    left, top = random.randint(0, 8), random.randint(0, 8)
    image = image.crop((left, top, left + width, top + height))
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image


def cutout(image, side=16):
    """One square filled with the mean; Pillow image to array."""
    pixels = np.array(image)
    top, left = (random.randrange(size) - side // 2 for size in pixels.shape[:2])
    pixels[max(top, 0) : top + side, max(left, 0) : left + side] = pixels.mean()
    return pixels


def rand(pixels):
    """The `rand` preset."""
    image = base(pixels)
    for name, low, high in random.choices(RAND, k=4):
        image = operate(image, name, random.uniform(low, high))
    return cutout(image)


def auto(pixels, table):
    """The `auto` preset; `table` holds (operation, probability, values for both signs)."""
    image = base(pixels)
    for name, probability, values in random.choice(table):
        if random.random() < probability:
            image = operate(image, name, random.choice(values), fill=128, bicubic=True)
    return cutout(image)


def contrast(pixels):
    """The `contrast` preset."""
    image = base(pixels)
    if random.random() < 0.8:
        parts = ["brightness", "contrast", "color", "hue"]
        random.shuffle(parts)
        for name in parts:
            value = random.uniform(-0.1, 0.1) if name == "hue" else random.uniform(0.6, 1.4)
            image = operate(image, name, value)
    return np.asarray(image.convert("L").convert("RGB") if random.random() < 0.2 else image)


def batch(job):
    """(preset, uint8 [n, height, width, 3], table) -> the augmented array."""
    preset, images, table = job
    preset_of = {
        "base": lambda p: np.asarray(base(p)), "rand": rand, "auto": lambda p: auto(p, table), "contrast": contrast,
    }[preset]  # fmt: skip
    return np.stack([preset_of(pixels) for pixels in images])
