"""Masks, the wrapping that carries them, and the rewind point."""

from tf_tickets.pruning.masks import global_magnitude, layer_magnitude

__all__ = ["global_magnitude", "layer_magnitude"]
