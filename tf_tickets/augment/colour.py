"""Operations that mix the channels or the neighbours of a pixel: uint8 [n, height, width, channels] in and out.

`color`, `hue` and `grey` are keras-cv's transforms, called with parameters that are drawn here. `sharpness` has the
bits of keras-cv's, which marks the border by masks of all pixels and takes three times as long.
"""

from __future__ import annotations

import functools

from tf_tickets.augment.deferred import Tensor, keras_cv, tf
from tf_tickets.lazy_modules import np

_SMOOTHING = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))
_BLUR_STEPS = 2048
_BLUR_LARGEST = 3.0
_BLUR_RADIUS = 8


def _levels(images):
    """Float pixels as Pillow stores them: cut off, not rounded."""
    return tf.cast(tf.clip_by_value(images, 0.0, 255.0), tf.uint8)


def color(images: Tensor, factor: Tensor) -> Tensor:
    """Blends with the grey image: 0 is grey, 1 the image, above 1 more colourful; float32 [n]."""
    if images.shape[3] == 1:
        return images
    layer = _layer("RandomColorDegeneration", 0.5)
    pixels = tf.cast(images, tf.float32)
    return _levels(layer.augment_images(pixels, transformations=1.0 - factor[:, None, None, None]))


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Blends with the smoothed image: 0 is smooth, 1 the image, above 1 sharper; float32 [n]. The border stays."""
    height, width, channels = images.shape[1:]
    kernel = np.tile(np.array(_SMOOTHING, np.float32)[:, :, None, None] / np.float32(13.0), [1, 1, channels, 1])
    # One image more, since oneDNN's convolution of no image at all has a wrong shape.
    padded = tf.cast(tf.pad(images, [[0, 1], [0, 0], [0, 0], [0, 0]]), tf.float32)
    smooth = tf.clip_by_value(tf.nn.depthwise_conv2d(padded, kernel, [1, 1, 1, 1], "VALID")[:-1], 0.0, 255.0)
    inner = tf.cast(images[:, 1:-1, 1:-1], tf.float32)
    inner, smooth = (tf.reshape(part, [-1, (height - 2) * (width - 2) * channels]) for part in (inner, smooth))
    blended = _levels(inner + (1.0 - factor)[:, None] * (smooth - inner))
    blended = tf.reshape(blended, [-1, height - 2, width - 2, channels])
    rows = tf.concat([images[:, 1:-1, :1], blended, images[:, 1:-1, -1:]], axis=2)
    return tf.concat([images[:, :1], rows, images[:, -1:]], axis=1)


@functools.cache
def _layer(name, *arguments, **settings):
    """A layer of keras-cv, made once.

    Its constructor asks for TensorFlow's global generator, from which nothing is drawn here, and which deterministic
    mode only hands out after somebody has set one.
    """
    layers = keras_cv().layers
    with tf.init_scope():
        try:
            tf.random.get_global_generator()
        except RuntimeError:
            tf.random.set_global_generator(tf.random.Generator.from_seed(0))
        return getattr(layers, name)(*arguments, **settings)


def hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turns the hue by `turn` of the full circle, float32 [n] in -1/2..1/2; grey images stay."""
    if images.shape[3] == 1:
        return images
    layer = _layer("RandomHue", 0.5, value_range=(0, 255))
    return _rounded(layer.augment_images(tf.cast(images, tf.float32), transformations=turn))


def saturate(images: Tensor, factor: Tensor) -> Tensor:
    """Multiplies the saturation (of hue, saturation, value) by `factor`, float32 [n]."""
    if images.shape[3] == 1:
        return images
    layer = _layer("RandomSaturation", 0.5)
    return _rounded(255.0 * layer.augment_images(tf.cast(images, tf.float32) / 255.0, transformations=factor))


def grey(images: Tensor) -> Tensor:
    """The grey image, in as many channels."""
    if images.shape[3] == 1:
        return images
    return _rounded(_layer("Grayscale", output_channels=3).augment_images(tf.cast(images, tf.float32)))


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur, float32 [n] in (0, 3) pixels; the edge pixel is repeated outside.

    keras-cv blurs a whole batch with one sigma, so this is ours: the weights come from a table of 2,048 sigmas, because
    TensorFlow's exponential rounds differently in the vectorised and the left-over part of a loop.
    """
    row = tf.cast(sigma * (_BLUR_STEPS / _BLUR_LARGEST), tf.int32)
    weights = tf.gather(tf.constant(_blur_table()), tf.clip_by_value(row, 0, _BLUR_STEPS - 1))
    pixels = tf.cast(images, tf.float32)
    for axis in (1, 2):
        pixels = _weighted(pixels, weights, axis)
    return _rounded(pixels)


def _weighted(pixels, weights, axis):
    """The sum of shifted copies along one axis, weights [n, radius + 1] from the middle outwards."""
    size = pixels.shape[axis]
    first, last = (tf.gather(pixels, [place] * _BLUR_RADIUS, axis=axis) for place in (0, size - 1))
    padded = tf.concat([first, pixels, last], axis=axis)

    def shifted(shift):
        begin = [0, 0, 0, 0]
        begin[axis] = _BLUR_RADIUS + shift
        return tf.slice(padded, begin, tf.shape(pixels))

    total = pixels * weights[:, 0, None, None, None]
    for distance in range(1, _BLUR_RADIUS + 1):
        total += (shifted(-distance) + shifted(distance)) * weights[:, distance, None, None, None]
    return total


@functools.cache
def _blur_table():
    sigma = (np.arange(_BLUR_STEPS) + 0.5)[:, None] * _BLUR_LARGEST / _BLUR_STEPS
    weights = np.exp(-0.5 * (np.arange(_BLUR_RADIUS + 1) / sigma) ** 2)
    return (weights / (weights[:, :1] + 2 * weights[:, 1:].sum(axis=1, keepdims=True))).astype(np.float32)


def _rounded(images):
    return tf.cast(tf.clip_by_value(tf.round(images), 0.0, 255.0), tf.uint8)
