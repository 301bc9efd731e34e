"""Augmentation of whole batches, each image with its own stateless draws."""

from tf_tickets.augment.policies import apply, keys, resolve

__all__ = ["apply", "keys", "resolve"]
