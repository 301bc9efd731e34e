"""Data sets: facts, subsets, sources and the input pipeline.

The modules below register the program's own data sets, in the order in which these are listed.
"""

# isort: off
from tf_tickets.data import cifar, batches, arrays, split_sets, idx, digits, folder, tfds_group

__all__ = ["arrays", "batches", "cifar", "digits", "folder", "idx", "split_sets", "tfds_group"]
