"""The program's own data sets: each module registers its own, in the order in which they are listed."""

# isort: off
from tf_tickets.data import cifar, batches, arrays, split_sets, idx, digits, folder

__all__ = ["arrays", "batches", "cifar", "digits", "folder", "idx", "split_sets"]
