"""What tables call a run: its settings, its images, its recipe, from its config.cfg and its folder's name."""

import os
import re

from tf_tickets import own_networks, runs, storage
from tf_tickets.errors import StateError, plain_xml
from tf_tickets.registry import COMMANDS, CONTROLS, DATASETS
from tf_tickets.runs import REFIT, RIVAL
from tf_tickets.settings import places
from tf_tickets.settings.config import Config
from tf_tickets.settings.data_group import Data
from tf_tickets.settings.groups import Pruning

_REFIT, _RIVAL = f"-{REFIT}", f"-{RIVAL}"
# What tables and figures call the dense network that is trained as long as all rounds of a search.
RIVAL_TITLE = "dense, trained as long"


def is_refit(digest: str) -> bool:
    """Whether the runs of a digest are refits, each of which ends with the round that was chosen for it."""
    return digest.endswith(_REFIT)


def is_rival(digest: str) -> bool:
    """Whether the runs of a digest are dense networks, each trained as long as the rounds of its search."""
    return digest.endswith(_RIVAL)


def settings(folder: runs.RunFolder) -> dict:
    """The settings of a run that frames carry, from its config.cfg and its folder's name."""
    config = Config.from_flagfile(folder.config)
    digest = re.search(r"-([0-9a-f]{8})$", folder.name.partition("/")[0])
    digest = digest[1] if digest else config.digest()
    whole = folder.refits or (config.choice.refit and command_of(folder) == "train")
    # Each run has its own ticket and teacher, and perhaps its own list of images, which the data name.
    paths = {"ticket": "", "teacher": "", "subset_file": "", "pretrained": config.network.pretrained or ""}
    manifest, recipe = _manifest(folder), config
    if CONTROLS[config.pruning.control].one_density:  # its rate says no more than that density
        recipe = config.replace(rate=Pruning.rate)
    own_networks.note_origin(config.network.model, manifest.get("model"))
    return {
        "run": folder.name, "dataset": config.data.dataset, "model": config.network.model,
        "data": data_text(config.data, whole), "augment": config.augment, "control": config.pruning.control,
        "rewind": config.pruning.rewind, "criterion": config.pruning.criterion,
        "scope": config.pruning.scope, "seed": config.run.seed,
        "order_seed": config.order_seed, "subset_seed": config.data.subset_seed,
        "digest": digest + _REFIT * folder.refits + _RIVAL * folder.is_rival,
        "recipe": recipe.digest(content=[(name, os.path.basename(path)) for name, path in paths.items()]),
        "images": manifest.get("training_images"),
        "soup_members": config.pruning.soup_members, "distillation": _distillation_text(config.training),
        "pretrained": _backbone_text(config.network.pretrained, manifest.get("pretrained")),
    }  # fmt: skip


def _manifest(folder):
    """What the run's manifest.json says; nothing where it is not there, or damaged, which the page names."""
    try:
        return storage.read_sealed(folder.manifest)
    except StateError:
        return {}


def _distillation_text(training):
    """Whom a run learns from beside the labels; nothing of a run that learns from labels alone."""
    if not training.distillation:
        return ""
    teacher = "a teacher" if training.teacher else "its dense network"
    return f"{100 * training.distillation:g} % taught by {teacher}"


def _backbone_text(path, sha256):
    """The file of a pretrained backbone, and its hash where the run recorded it; nothing of a run without one."""
    return " ".join(filter(None, [path and plain_xml(os.path.basename(path)), sha256 and f"sha256:{sha256}"]))


def command_of(folder: runs.RunFolder) -> str:
    """The command that the comment at the head of a run's config.cfg names; imp where there is none."""
    with open(folder.config, encoding="utf-8") as file:
        words = file.readline().split()
    named = [word for word in words if word in COMMANDS]
    return named[0] if words[:1] == ["#"] and named else "imp"


def data_text(data: Data, whole: bool) -> str:
    """Which images are trained on, in words that differ where the images do, but for the seed they are drawn by.

    Args:
      whole: whether those that it holds out are trained on too.
    """
    text = "all images"
    if data.fraction is not None:
        text = f"{100 * data.fraction:g} % of the images"
    elif data.per_class is not None:
        text = f"{data.per_class} images a class"
    elif data.images is not None:
        text = f"{data.images} images"
    elif data.subset_file is not None:
        text = f"images of {os.path.basename(data.subset_file)}"
    flags = DATASETS[data.dataset].place_flags
    if flags and (path := getattr(data, flags[-1])):
        text += " from Python" if places.is_name(path) else f" in {os.path.basename(os.path.abspath(path))}"
    if data.imbalance is not None:
        text += f", long tail {data.imbalance:g}" + (" in one step" if data.imbalance_profile == "step" else "")
    if data.validation is None:
        return text
    if not whole:
        return f"{text}, {_held_text(data.validation)} held out"
    return text if data.validation != "official" or text.startswith("all") else f"{text} and the validation part"


def _held_text(validation):
    if validation == "official":
        return "the validation part"
    if validation.startswith("fold:"):
        return "fold {} of {}".format(*validation[5:].split("/"))
    return f"{100 * float(validation):g} %"
