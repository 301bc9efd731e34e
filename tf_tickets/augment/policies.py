"""Policies: a readable chain of operations, `crop(4)|flip`, and the presets that stand for one."""

import functools
import re

from tf_tickets import seeds
from tf_tickets.augment import operations
from tf_tickets.backend import tf
from tf_tickets.errors import UsageError

# Each operation of a policy draws from its own range of slots.
_SLOTS_PER_OPERATION = 64

# name -> (function, number of integer arguments)
_OPERATIONS = {"crop": (operations.crop, 1), "flip": (operations.flip, 0)}

_PRESETS = {"none": "", "base": "crop(4)|flip"}


def keys(order_seed, round_index, epoch, ids):
    """The key of each image, int64 [n]: a pure function of seed, round, epoch and image id."""
    return seeds.image_keys(order_seed, round_index, epoch, ids)


def resolve(policy, data_set):
    """The chain that a preset means on one data set.

    Args:
      policy: a preset or a chain.
      data_set: a data.catalog.DataSet; its crop padding and flips are those of `base`.

    Returns:
      A chain such as "crop(4)|flip", "" for none.
    """
    if policy == "base":
        return "|".join([f"crop({data_set.crop_padding})", *(["flip"] if data_set.flip else [])])
    return _PRESETS.get(policy, policy)


@functools.cache
def parse(policy):
    """A preset or chain as a tuple of (function, first slot, arguments); UsageError for unknown names."""
    chain = _PRESETS.get(policy, policy)
    steps = []
    for position, part in enumerate(chain.split("|") if chain else []):
        found = re.fullmatch(r"\s*([a-z_]+)\s*(?:\(\s*(\d+(?:\s*,\s*\d+)*)?\s*\))?\s*", part)
        if not found or found[1] not in _OPERATIONS:
            known = ", ".join([*_PRESETS, *_OPERATIONS])
            raise UsageError(f"augmentation '{part}' is unknown: known are {known}; arguments are whole numbers")
        function, wanted = _OPERATIONS[found[1]]
        arguments = tuple(int(number) for number in found[2].split(",")) if found[2] else ()
        if len(arguments) != wanted:
            raise UsageError(f"augmentation '{part}' takes {wanted} numbers, not {len(arguments)}")
        steps.append((function, position * _SLOTS_PER_OPERATION, arguments))
    return tuple(steps)


def apply(policy, images, keys):
    """Augments a batch.

    Args:
      policy: a preset or chain.
      images: uint8 or float32 [n, height, width, channels] in 0..255, array or tensor.
      keys: int64 [n], one key per image, from `keys`.

    Returns:
      A tensor of the input's type and shape. The same image under the same key gives the same pixels, whatever the
      rest of the batch.
    """
    images, keys = tf.convert_to_tensor(images), tf.convert_to_tensor(keys, tf.int64)
    if images.shape.rank != 4 or keys.shape.rank != 1:
        raise UsageError(f"images {images.shape} and keys {keys.shape} are not [n, height, width, channels] and [n]")
    if images.dtype not in (tf.uint8, tf.float32):
        raise UsageError(f"images are {images.dtype.name}: pass uint8 or float32 in 0..255")
    if not images.shape[:1].is_compatible_with(keys.shape):
        raise UsageError(f"{images.shape[0]} images and {keys.shape[0]} keys: pass one key per image")
    result = tf.cast(images, tf.float32)
    for function, slot, arguments in parse(policy):
        result = function(result, keys, slot, *arguments)
    if images.dtype == tf.uint8:
        result = tf.cast(tf.clip_by_value(tf.round(result), 0.0, 255.0), tf.uint8)
    return tf.ensure_shape(result, images.shape)
