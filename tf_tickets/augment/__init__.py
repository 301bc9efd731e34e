"""Augmentation of whole batches, each image with its own stateless draws."""

from tf_tickets.augment.policies import apply, augmenter, keys, mix, resolve

__all__ = ["apply", "augmenter", "keys", "mix", "resolve"]
