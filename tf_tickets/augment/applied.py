"""Policies applied to batches; the language itself is `tf_tickets.settings.policies`."""

from __future__ import annotations

import functools
from collections.abc import Callable

from tf_tickets import seeds
from tf_tickets.lazy_modules import np

# In the order in which operations are listed.
# isort: off
from tf_tickets.augment import geometry, resized, operations, custom, mixing  # noqa: F401  they register themselves

# isort: on
from tf_tickets.augment.deferred import Tensor, tf
from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import UsageError
from tf_tickets.settings import policies

# Each operation of a policy draws from its own range of slots.
_SLOTS_PER_OPERATION = 64


def keys(order_seed: int, round_index: int, epoch: int, ids: np.ndarray) -> np.ndarray:
    """The key of each image, int64 [n]: a pure function of seed, round, epoch and image id."""
    return seeds.image_keys(order_seed, round_index, epoch, ids)


def apply(policy: str, images: np.ndarray | Tensor, keys: np.ndarray | Tensor) -> Tensor:
    """Augments a batch.

    Args:
      policy: a preset or a chain, `tf_tickets.settings.policies`.
      images: uint8 or float32 [n, height, width, channels] in 0..255, array or tensor. Operations on grey levels round
        float images first, as Pillow would; the others copy pixels as they are.
      keys: int64 [n], one key per image, from `keys`.

    Returns:
      A tensor of the input's type and shape. The same image under the same key gives the same pixels, whatever the
      rest of the batch.

    Raises:
      UsageError: for an unknown or mixing policy, unfit arrays, or colours where there are none.
    """
    images, keys = _checked(images, keys)
    steps = _parsed(policy, images.shape[3])
    if steps and steps[-1].operation.mixing:
        raise UsageError(f"augmentation '{policy}' mixes images and labels: use augment.mix with the one-hot labels")
    return _run(steps, images, keys)


def mix(
    policy: str, images: np.ndarray | Tensor, one_hot: np.ndarray | Tensor, keys: np.ndarray | Tensor
) -> tuple[Tensor, Tensor]:
    """Augments a batch and mixes its images and labels.

    Args:
      policy: a chain whose last operation is mixup(a) or cutmix(a).
      images: as in `apply`.
      one_hot: float32 [n, classes].
      keys: int64 [n].

    Returns:
      (images, labels), of the inputs' types and shapes. An image's partner comes from the same batch.

    Raises:
      UsageError: as `apply`, and for a policy that mixes nothing.
    """
    images, keys = _checked(images, keys)
    labels = tf.convert_to_tensor(one_hot)
    if labels.shape.rank != 2 or not labels.shape[:1].is_compatible_with(keys.shape) or not labels.dtype.is_floating:
        raise UsageError(f"labels {labels.dtype.name} {labels.shape} are not one-hot [{keys.shape[0]}, classes]")
    steps = _parsed(policy, images.shape[3])
    if not steps or not steps[-1].operation.mixing:
        raise UsageError(f"augmentation '{policy}' mixes nothing: end it with mixup(0.2) or cutmix(1), or use apply")
    images = _run(steps[:-1], images, keys)
    last, slot = steps[-1], (len(steps) - 1) * _SLOTS_PER_OPERATION
    return last.operation.function(images, labels, keys, slot, *last.arguments)


def augmenter(policy: str, shape: tuple[int, int, int] | None = None) -> Callable:
    """The function (images, one_hot, keys) -> (images, one_hot) of a policy, mixing or not.

    Args:
      policy: a chain.
      shape: None for images as in `apply`; else (height, width, channels), and images are pictures of any size: string
        [n], or a data.pictures.Decoded. A policy that begins with resized_crop draws its part of the whole picture, any
        other sees the middle.
    """
    steps = _parsed(policy)
    if shape is not None:
        return functools.partial(_photographs, steps, tuple(shape))
    if steps and steps[-1].operation.mixing:
        return functools.partial(mix, policy)
    return lambda images, one_hot, keys: (apply(policy, images, keys), one_hot)


def resolve(policy: str, data_set: DataSet) -> str:
    """The chain that a policy means on one data set, such as "crop(4)|flip|rand(4)|cutout(16)"; "" for none.

    Args:
      policy: a preset or a chain.
      data_set: a data.catalog.DataSet; `base` and the presets' cutout are its own.
    """
    return policies.expand(policy, data_set.base, data_set.cutout_side)


def _photographs(steps, shape, given, one_hot, keys):
    from tf_tickets.data import pictures

    parts = bool(steps) and steps[0].name == "resized_crop"
    images = (
        resized.picture_crop(given, keys, 0, *steps[0].arguments, shape=shape)
        if parts
        else pictures.centre_crop(given, shape)
    )
    # The operations keep the slots that their places in the chain give them.
    mixes = bool(steps) and steps[-1].operation.mixing
    inner = steps[int(parts) : len(steps) - int(mixes)]
    images = _run(inner, images, keys, int(parts))
    if mixes:
        slot = (len(steps) - 1) * _SLOTS_PER_OPERATION
        images, one_hot = steps[-1].operation.function(images, one_hot, keys, slot, *steps[-1].arguments)
    return images, one_hot


@functools.cache
def _parsed(policy, channels=None):
    try:
        steps = policies.parse(policy)
    except ValueError as error:
        raise UsageError(f"augmentation '{policy}' {error}") from None
    problem = policies.check_channels(steps, channels) if channels else None
    if problem:
        raise UsageError(f"augmentation {problem}")
    return steps


def _checked(images, keys):
    images, keys = tf.convert_to_tensor(images), tf.convert_to_tensor(keys, tf.int64)
    if images.shape.rank != 4 or keys.shape.rank != 1:
        raise UsageError(f"images {images.shape} and keys {keys.shape} are not [n, height, width, channels] and [n]")
    if images.dtype not in (tf.uint8, tf.float32):
        raise UsageError(f"images are {images.dtype.name}: pass uint8 or float32 in 0..255")
    if not images.shape[:1].is_compatible_with(keys.shape):
        raise UsageError(f"{images.shape[0]} images and {keys.shape[0]} keys: pass one key per image")
    return images, keys


def _run(steps, images, keys, first=0):
    result = images
    if any(step.operation.levels for step in steps) and images.dtype != tf.uint8:
        result = tf.cast(tf.clip_by_value(tf.round(images), 0.0, 255.0), tf.uint8)
    for position, step in enumerate(steps, first):
        result = step.operation.function(result, keys, position * _SLOTS_PER_OPERATION, *step.arguments)
    return tf.ensure_shape(tf.cast(result, images.dtype), images.shape)
