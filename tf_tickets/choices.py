"""The names of data sets and networks."""

DATASETS = (
    "cifar10", "cifar100", "cifair10", "cifar10_2", "eurosat_rgb", "eurosat_all", "isic2018", "clamm", "cub",
    "imagenet50", "mnist", "fashion_mnist", "digits", "folder",
)  # fmt: skip
_RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
MODELS = (
    *_RESNETS, *(f"harmonic_{name}" for name in _RESNETS), *(f"full_conv_{name}" for name in _RESNETS),
    "vgg11", "vgg13", "vgg16", "vgg19", "mobilenet_v2", "vit_small",
)  # fmt: skip


def check_probe(text):
    """The problem with a list of data sets to probe, or None."""
    known, chosen = [name for name in DATASETS if name != "folder"], text.split(",")
    if set(chosen) <= set(known) and len(set(chosen)) == len(chosen):
        return None
    return f"is not a list of {', '.join(known)}, each at most once"


def default_width(model):
    """The width that `--width` unset means."""
    return {"mobilenet_v2": 32, "vit_small": 384}.get(model, 64)
