"""The names of data sets."""

DATASETS = (
    "cifar10", "cifar100", "cifair10", "cifar10_2", "eurosat_rgb", "eurosat_all", "isic2018", "clamm", "cub",
    "imagenet50", "mnist", "fashion_mnist", "digits", "folder",
)  # fmt: skip


def check_probe(text):
    """The problem with a list of data sets to probe, or None."""
    known, chosen = [name for name in DATASETS if name != "folder"], text.split(",")
    if set(chosen) <= set(known) and len(set(chosen)) == len(chosen):
        return None
    return f"is not a list of {', '.join(known)}, each at most once"
