"""Augmentation of whole batches, each image with its own stateless draws."""

from tf_tickets.augment.applied import apply, augmenter, keys, mix, resolve
from tf_tickets.settings.policies import Argument, register

__all__ = ["Argument", "apply", "augmenter", "keys", "mix", "register", "resolve"]
