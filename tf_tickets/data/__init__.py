"""Data sets: facts, subsets, sources and the input pipeline.

The modules below register the program's own data sets, in the order in which these are listed.
"""

# isort: off
from tf_tickets.data import cifar, batches, arrays, split_sets, idx, digits, folder, table, image_arrays, tfds_group
from tf_tickets.data.from_python import from_arrays, from_dataframe, from_dataset

__all__ = [
    "arrays", "batches", "cifar", "digits", "folder", "from_arrays", "from_dataframe", "from_dataset", "idx",
    "image_arrays", "split_sets", "table", "tfds_group",
]  # fmt: skip
