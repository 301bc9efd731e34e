"""What each operation of a policy does to a batch: `(images, keys, slot, *arguments) -> images`.

Where every image draws its own operation, the images are grouped by what they drew, each operation runs once on its
group, and the images go back to their places.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from tf_tickets.augment import autoaugment, colour, geometry, levels, sampling
from tf_tickets.augment.deferred import Tensor, tf
from tf_tickets.lazy_modules import np
from tf_tickets.settings.policies import AUTO_TABLES, Argument, amount, register

_MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")

_LEVELS = {
    "identity": lambda images, value: images,
    "autocontrast": lambda images, value: levels.autocontrast(images),
    "equalize": lambda images, value: levels.equalize(images),
    "invert": lambda images, value: levels.invert(images),
    "solarize": levels.solarize, "posterize": levels.posterize, "brightness": levels.brightness,
    "contrast": levels.contrast, "color": colour.color, "sharpness": colour.sharpness, "hue": colour.hue,
}  # fmt: skip


def operate(
    name: str, images: Tensor, value: Tensor, *, fill: float | Tensor = geometry.BLACK, bicubic_shear: bool = False,
) -> Tensor:  # fmt: skip
    """One operation on a batch.

    Args:
      name: a name in RAND or AUTO, or hue.
      images: [n, height, width, channels]; uint8 unless the operation only moves pixels.
      value: float32 [n]: degrees, share, factor, threshold or bits.
      fill: grey level of what comes from outside.
      bicubic_shear: shears interpolate (`auto`) instead of copying the nearest pixel (`rand`).
    """
    if name in ("shear_x", "shear_y") and bicubic_shear:
        return geometry.shear_bicubic(images, value, axis=int(name == "shear_y"), fill=fill)
    if name in _MOVES:
        return geometry.move(images, fill, **{name: value})
    return _LEVELS[name](images, value)


def operate_each(
    images: Tensor, choice: Tensor, value: Tensor, names: Sequence[str], *, fill: float | Tensor = geometry.BLACK,
    bicubic_shear: bool = False,
) -> Tensor:  # fmt: skip
    """Applies to each image its own operation, `names[choice]`, with its own value.

    Args:
      images: uint8 [n, height, width, channels].
      choice: int32 [n], indices into `names`.
      value: float32 [n].
      names, fill, bicubic_shear: as in `operate`.

    Returns:
      Images in the order they came.
    """
    # What moves pixels by nearest neighbour is one group with one matrix per image.
    moves = [name for name in names if name in _MOVES and not (bicubic_shear and name.startswith("shear"))]
    kinds = [name for name in names if name not in moves] + ["move"]
    kind = tf.gather(np.array([kinds.index("move" if name in moves else name) for name in names], np.int32), choice)

    def move(part, values):
        drawn = {name: tf.where(values[:, 1] == float(names.index(name)), values[:, 0], 0.0) for name in moves}
        return geometry.move(part, fill, **drawn)

    functions = [
        lambda part, values, name=name: operate(name, part, values[:, 0], fill=fill, bicubic_shear=bicubic_shear)
        for name in kinds[:-1]
    ] + [move]
    return sampling.grouped(images, kind, tf.stack([value, tf.cast(choice, tf.float32)], axis=1), functions)


_CHANGE = amount("largest change")
_PROBABILITY = amount("probability")


def _none():
    return 0.0, 0.0


def _about_zero(x):
    return -x, x


def _about_one(x):
    return 1.0 - x, 1.0 + x


def _drawn(name, text, between, *arguments, **traits):
    """Registers one operation of `operate` with its value drawn from U(*between(*arguments))."""

    @register(name, text, *arguments, **traits)
    def operation(images, keys, slot, *values):
        return operate(name, images, sampling.uniform(keys, slot, *between(*values)))

    return operation


# fmt: off
rotate = _drawn("rotate", "rotation U(-x, x) degrees", _about_zero, Argument("degrees", float, 0.0, 45.0), levels=False,
                examples="rotate(30)")
shear_x = _drawn("shear_x", "horizontal shear U(-x, x)", _about_zero, amount("factor"), levels=False,
                 examples="shear_x(0.3)")
shear_y = _drawn("shear_y", "vertical shear U(-x, x)", _about_zero, amount("factor"), levels=False,
                 examples="shear_y(0.3)")
translate_x = _drawn("translate_x", "shift by U(-x, x) of the width", _about_zero, amount("share"), levels=False,
                     examples="translate_x(0.3)")
translate_y = _drawn("translate_y", "shift by U(-x, x) of the height", _about_zero, amount("share"), levels=False,
                     examples="translate_y(0.3)")
autocontrast = _drawn("autocontrast", "stretches each channel to 0..255", _none, examples="autocontrast")
equalize = _drawn("equalize", "equalises each channel's histogram", _none, examples="equalize")
invert = _drawn("invert", "negative", _none, examples="invert")
solarize = _drawn("solarize", "inverts levels from a threshold U(0, 256) on", lambda: (0.0, 256.0), examples="solarize")
posterize = _drawn("posterize", "keeps floor U(bits, 8) bits", lambda bits: (float(bits), 8.0),
                   Argument("bits", int, 1, 7), examples="posterize(4)")
color = _drawn("color", "colourfulness U(1 - x, 1 + x)", _about_one, _CHANGE, colours=True, examples="color(0.9)")
contrast = _drawn("contrast", "contrast U(1 - x, 1 + x)", _about_one, _CHANGE, examples="contrast(0.9)")
brightness = _drawn("brightness", "brightness U(1 - x, 1 + x)", _about_one, _CHANGE, examples="brightness(0.9)")
sharpness = _drawn("sharpness", "sharpness U(1 - x, 1 + x)", _about_one, _CHANGE, examples="sharpness(0.9)")
hue = _drawn("hue", "hue turned by U(-x, x) of the circle", _about_zero, amount("largest turn", 0.5), colours=True,
             examples="hue(0.5)")
# fmt: on


@register(
    "jitter", "brightness, contrast, saturation and hue in random order", amount("brightness"), amount("contrast"),
    amount("saturation"), amount("hue", 0.5), _PROBABILITY, colours=True, examples="jitter(0.4,0.4,0.4,0.1,1)",
)  # fmt: skip
def jitter(
    images: Tensor, keys: Tensor, slot: int, brightness: float, contrast: float, saturation: float, hue: float,
    probability: float,
) -> Tensor:  # fmt: skip
    """Brightness, contrast, saturation and hue in random order, all or none of them (SimCLR's colour jitter)."""
    parts = (("brightness", brightness), ("contrast", contrast), ("color", saturation), ("hue", hue))
    values = [
        sampling.uniform(keys, slot + i, -size, size) + (0.0 if name == "hue" else 1.0)
        for i, (name, size) in enumerate(parts)
    ]
    order = random_order(keys, slot + len(parts), len(parts))
    applied = sampling.uniform(keys, slot + 2 * len(parts)) < probability
    names = [name for name, _ in parts] + ["identity"]
    for turn in range(len(parts)):
        value = tf.gather(tf.stack(values, axis=1), order[:, turn], batch_dims=1)
        images = operate_each(images, tf.where(applied, order[:, turn], len(parts)), value, names)
    return images


def random_order(keys: Tensor, slot: int, count: int) -> Tensor:
    """A random order of 0..count-1 per image, int32 [n, count]; takes `count` slots."""
    return tf.argsort(tf.stack([sampling.uniform(keys, slot + i) for i in range(count)], axis=1), stable=True)


@register("grey", "grey image", _PROBABILITY, colours=True, examples="grey(1)")
def grey(images: Tensor, keys: Tensor, slot: int, probability: float) -> Tensor:
    """The grey image, with a probability."""
    chosen = sampling.uniform(keys, slot) < probability
    return sampling.select(chosen, colour.grey(images), images)


@register("blur", "Gaussian blur, sigma U(0.1, 2)", _PROBABILITY, examples="blur(1)")
def blur(images: Tensor, keys: Tensor, slot: int, probability: float) -> Tensor:
    """Gaussian blur with sigma U(0.1, 2), with a probability."""
    sigma = sampling.uniform(keys, slot + 1, 0.1, 2.0)
    applied = tf.cast(sampling.uniform(keys, slot) < probability, tf.int32)
    blurred = [lambda part, _: part, lambda part, values: colour.blur(part, values[:, 0])]
    return sampling.grouped(images, applied, sigma[:, None], blurred)


@register(
    "cutout", "one square filled with the mean", Argument("side", int, 1, 512), levels=False, examples="cutout(16)"
)
def cutout(images: Tensor, keys: Tensor, slot: int, side: int) -> Tensor:
    """Fills one square per image with the image's mean over pixels and channels (DeVries & Taylor 2017).

    The centre is uniform over all pixels and the square is clipped at all four edges.

    Args:
      images: [n, height, width, channels].
      keys: int64 [n].
      slot: first of the two draws taken.
      side: pixels.
    """
    height, width = images.shape[1], images.shape[2]
    top = sampling.integers(keys, slot, height) - side // 2
    left = sampling.integers(keys, slot + 1, width) - side // 2
    row, column = tf.range(height), tf.range(width)
    rows = (row >= top[:, None]) & (row < top[:, None] + side)
    columns = (column >= left[:, None]) & (column < left[:, None] + side)
    mean = grey_mean(images)
    if images.dtype != tf.uint8:
        return tf.where(rows[:, :, None, None] & columns[:, None, :, None], mean[:, None, None, None], images)
    # By bits, for tf.where takes ten times as long for numbers of 8.
    rows, columns = (255 * tf.cast(part, tf.uint8) for part in (rows, columns))
    columns = tf.repeat(columns, images.shape[3], axis=1)
    both, either = tf.bitwise.bitwise_and, tf.bitwise.bitwise_xor
    pixels = tf.reshape(images, [-1, height, width * images.shape[3]])
    square = both(rows[:, :, None], columns[:, None])
    return tf.reshape(either(pixels, both(either(pixels, mean[:, None, None]), square)), tf.shape(images))


def grey_mean(images: Tensor) -> Tensor:
    """The mean over pixels and channels, [n], in the images' type."""
    count = images.shape[1] * images.shape[2] * images.shape[3]
    if images.dtype == tf.uint8:
        # Whole numbers: the sum is the same in any order.
        total = tf.reduce_sum(tf.cast(images, tf.int32), axis=[1, 2, 3])
        return tf.cast((2 * total + count) // (2 * count), tf.uint8)
    total = tf.reduce_sum(tf.cast(images, tf.float64), axis=[1, 2, 3])
    return tf.cast(total / count, images.dtype)


# The 14 operations of `rand` and the range of their values (the paper's release).
RAND = (
    ("identity", 0.0, 0.0), ("autocontrast", 0.0, 0.0), ("equalize", 0.0, 0.0), ("rotate", -30.0, 30.0),
    ("solarize", 0.0, 256.0), ("color", 0.05, 0.95), ("contrast", 0.05, 0.95), ("brightness", 0.05, 0.95),
    ("sharpness", 0.05, 0.95), ("shear_x", -0.1, 0.1), ("shear_y", -0.1, 0.1), ("translate_x", -0.1, 0.1),
    ("translate_y", -0.1, 0.1), ("posterize", 4.0, 8.0),
)  # fmt: skip


def rand_draws(keys: Tensor, slot: int) -> tuple[Tensor, Tensor]:
    """One draw of `rand` per image: (index into RAND, value), int32 [n] and float32 [n]."""
    choice = sampling.integers(keys, slot, len(RAND))
    low, high = (tf.gather(tf.constant([row[i] for row in RAND], tf.float32), choice) for i in (1, 2))
    return choice, low + (high - low) * sampling.uniform(keys, slot + 1)


@register(
    "rand", "operations drawn with replacement from 14", Argument("count", int, 1, 16), colours=True, examples="rand(4)"
)
def rand(images: Tensor, keys: Tensor, slot: int, count: int) -> Tensor:
    """`count` operations drawn with replacement, one after the other."""
    for turn in range(count):
        images = operate_each(images, *rand_draws(keys, slot + 2 * turn), [name for name, _, _ in RAND])
    return images


AUTO = ("identity", *sorted({name for table in autoaugment.TABLES.values() for sub in table for name, _, _ in sub}))


@functools.cache
def _auto_arrays(name):
    """Of each sub-policy's two operations: index into AUTO, probability, value for sign -1 and +1; [25, 2(, 2)]."""
    table = autoaugment.TABLES[name]
    index = np.array([[AUTO.index(operation) for operation, _, _ in sub] for sub in table], np.int32)
    probability = np.array([[p for _, p, _ in sub] for sub in table], np.float32)
    value = np.array([[[autoaugment.value(o, level, s) for s in (-1, 1)] for o, _, level in sub] for sub in table])
    return index, probability, value.astype(np.float32)


def auto_draws(keys: Tensor, slot: int, table: str) -> list[tuple[Tensor, Tensor]]:
    """The draws of `auto`: [(index into AUTO, value)] of the two turns; identity where the probability said no."""
    indices, probabilities, values = _auto_arrays(table)
    policy = sampling.integers(keys, slot, len(indices))
    turns = []
    for turn in (0, 1):
        applied = sampling.uniform(keys, slot + 1 + 2 * turn) < tf.gather(probabilities[:, turn], policy)
        sign = sampling.integers(keys, slot + 2 + 2 * turn, 2)
        value = tf.gather_nd(values[:, turn], tf.stack([policy, sign], axis=1))
        turns.append((tf.where(applied, tf.gather(indices[:, turn], policy), 0), value))
    return turns


@register(
    "autoaugment", "one AutoAugment sub-policy", Argument("table", str, choices=AUTO_TABLES), colours=True,
    examples=tuple(f"autoaugment({table})" for table in AUTO_TABLES),
)  # fmt: skip
def auto(images: Tensor, keys: Tensor, slot: int, table: str) -> Tensor:
    """One sub-policy of an AutoAugment table; fill grey, shears bicubic."""
    for choice, value in auto_draws(keys, slot, table):
        images = operate_each(images, choice, value, AUTO, fill=geometry.GREY, bicubic_shear=True)
    return images
