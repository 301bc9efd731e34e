"""The model card of a ticket: what it is, its data, its numbers with intervals, its limits, how to load it."""

import re

from tf_tickets import own_networks
from tf_tickets.data.photographs import SHORTER_SIDE
from tf_tickets.data.pictures import MARGIN
from tf_tickets.export.ticket import Ticket
from tf_tickets.pruning import criteria
from tf_tickets.pruning.control import IMP
from tf_tickets.registry import CONTROLS
from tf_tickets.settings.checks import folds_of
from tf_tickets.settings.config import options
from tf_tickets.settings.groups import Pruning

_NAMES = {
    "test_accuracy": "test accuracy", "test_balanced_accuracy": "balanced test accuracy",
    "validation_accuracy": "validation accuracy", "train_loss": "training loss",
}  # fmt: skip
_LOADING = """```python
import tensorflow as tf                                            # TensorFlow alone, no tf_tickets
serve = tf.saved_model.load("{folder}").signatures["serving_default"]
serve(images=images)["probabilities"]                              # {dtype} [n, {shape}]{pictures}
```

```python
from tf_tickets import runtime                                     # numpy and SciPy, no TensorFlow
network = runtime.load("{folder}")
network.predict(images)
```

`python -m tf_tickets.main predict {folder} PICTURE...` labels files, `verify {folder}` checks every hash"""
_RETRAINING = """,
`train --ticket={folder}` retrains the sparse network, also on other pictures."""

_PICTURES = """
whole = tf.saved_model.load("{folder}").signatures["pictures"]     # cropped inside, as predict does
whole(images=pictures)["probabilities"]                            # uint8 [n, height, width, channels]"""


def text(ticket: Ticket, metrics: dict, test_images: int | None, folder: str = "ticket") -> str:
    """The card in Markdown.

    Args:
      metrics: dict of what was measured on it; empty where nothing was.
      test_images: how many images `test_accuracy` is of; None where nothing was measured.
      folder: what the loading lines call it.
    """
    data, several = ticket.data, len(ticket.members) > 1
    shape = ", ".join(map(str, data["image_shape"]))
    parts = [
        *_opening(ticket),
        *(["## Members", _members(ticket)] if several else []),
        "## Data",
        f"{len(ticket.labels)} classes: {_some(ticket.labels)}. Images {shape} (height, width, channels), "
        f"{data.get('dtype', 'uint8')}. {_training_data(ticket)}",
        *(["## Backbone", _backbone(ticket)] if ticket.settings.get("backbone") else []),
        "## Preprocessing",
        _preprocessing(data),
        "## Numbers",
        _numbers(metrics, test_images),
        *(["## Temperature", _temperature(ticket)] if ticket.calibration else []),
        *([] if several else ["## Settings that differ from the defaults", _settings(ticket.settings)]),
        "## Limits",
        _limits(ticket),
        "## Loading",
        (_LOADING + ("." if several else _RETRAINING)).format(
            folder=folder,
            dtype=data.get("dtype", "uint8"),
            shape=shape,
            pictures=_PICTURES.format(folder=folder) if data.get("any_size") else "",
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(ticket):
    """Title and first paragraph."""
    masks = [mask for member in ticket.members for mask in member.masks.values()]
    kept, total = sum(int(mask.sum()) for mask in masks), sum(mask.size for mask in masks)
    on = f"on {ticket.data['dataset']}, density {100 * ticket.density:.2f} %"
    weights = f"{kept:,} of {total:,} prunable weights are left, and all others are exactly zero"
    weights = f"all its {total:,} prunable weights are there" if kept == total else weights
    if len(ticket.members) > 1:
        return (
            f"# Ensemble of {len(ticket.members)} tickets {on}",
            f"Several image classifiers combined into one: {weights}. Its probabilities are the mean of its members', "
            "each at its own temperature; its logits are the logarithm of that mean.",
        )
    inside = "it contains the weights from which it was trained, so it can be trained again."
    if ticket.settings.get("rival", "none") != "none":
        return (
            f"# Ticket: {_network(ticket)} {on}",
            f"A dense image classifier, with all its {total:,} prunable weights. It was trained for "
            f"{ticket.settings['epochs']} epochs, as long as all rounds of a search for a sparse network, and is more "
            f"accurate than that network on images held out for the choice; {inside}",
        )
    control, made = CONTROLS[ticket.settings.get("control", "none")], _made(ticket)
    if control.fits:
        return f"# Linear probe: {_network(ticket)} {on}", f"An image classifier {made}. {weights}; {inside}"
    searched = f". It is round {ticket.round} of its search" if ticket.round and control.place in (None, IMP) else ""
    return (
        f"# Ticket: {_network(ticket)} {on}",
        f"A {'dense' if kept == total else 'sparse'} image classifier {made}: {weights}{searched}; {inside}",
    )


def _made(ticket):
    """How one network came to be, as words after "image classifier"."""
    control = CONTROLS[ticket.settings.get("control", "none")]
    criterion = ticket.settings.get("criterion", Pruning.criterion)
    if criteria.iterations_at_initialisation(criterion):
        return f"pruned by {criterion} before it was trained"
    if control.is_search and ticket.round == 0:
        return "without any pruning" if ticket.density == 1 else "with a mask that was given, of a ticket or a file"
    return control.made.format(criterion=criterion) or f"made as a control, {control.title}: {control.what}"


def _backbone(ticket):
    """What it started from, with images that are not among those of its data set."""
    facts = {name: code(text) if text else "unknown" for name, text in ticket.settings["backbone"].items()}
    return (
        f"Training started from weights learned on other data: {facts.get('origin', 'unknown')}, SHA-256 "
        f"{facts.get('sha256', 'unknown')}, licence {facts.get('licence', 'unknown')}."
    )


def _network(ticket):
    name = ticket.network["name"]
    return name if name.startswith(f"{own_networks.PREFIX}:") else f"{name} of width {ticket.network['width']}"


def _members(ensemble):
    """A table of the networks, and how they were made."""
    lines = [
        "| member | network | density | round | temperature | seed, order seed, subset seed |",
        "|---|" + "---|" * 5,
    ]
    for index, member in enumerate(ensemble.members):
        seeds = ", ".join(code(str(member.settings.get(name))) for name in ("seed", "order_seed", "subset_seed"))
        temperature = f"{member.temperature:.6g}" if member.calibration else "none"
        density = f"{100 * member.density:.2f} %"
        lines.append(f"| {index} | {_network(member)} | {density} | {member.round} | {temperature} | {seeds} |")
    return "\n".join(lines)


def code(text: str) -> str:
    """Text as Markdown shows it unchanged: between more backticks than stand together in it."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    # Spaces and backticks at an end are lost without another space.
    room = " " if text[0] in " `" or text[-1] in " `" else ""
    return f"{fence}{room}{text}{room}{fence}"


def _some(labels):
    shown = ", ".join(map(code, labels[:20]))
    return shown if len(labels) <= 20 else f"{shown} and {len(labels) - 20} more"


def _preprocessing(data):
    """What happens to pixels inside, and what the caller has to do."""
    height, width, channels = data["image_shape"]
    inside = (
        "Inside of every format: normalisation. The SavedModel, `tf_tickets.runtime` and TensorFlow Lite take images "
        f"of {height} x {width} x {channels} and refuse other sizes."
    )
    if data.get("dtype", "uint8") != "uint8":
        return f"{inside} `predict` takes only TIFF files of that size and type."
    if not data.get("any_size"):
        return (
            f"{inside} The caller has to bring pictures to that size. `predict` does it by itself: it turns them "
            "upright, puts transparent pixels on white, resizes the picture (bilinear, antialiased) until "
            f"{height} x {width} is covered, and cuts out the middle."
        )
    larger = [round(side * MARGIN) for side in (height, width)]
    return (
        f"{inside} They are the middle of a larger picture, which the caller has to cut out: resize it (bilinear, "
        f"antialiased) until it just covers {larger[0]} x {larger[1]}, then the middle {height} x {width}. The "
        "SavedModel's signature `pictures` does that inside, for upright pictures of any size whose shorter side is "
        f"at most {SHORTER_SIDE} pixels; it refuses larger ones. `predict` does all of it by itself, and first shrinks "
        f"larger pictures to a shorter side of {SHORTER_SIDE}."
    )


def _training_data(ticket):
    settings = ticket.settings
    if len(ticket.members) > 1:
        if ticket.ids is None:
            return "For some of its members it is not known which images they were trained on."
        return f"Its members were trained on {len(ticket.ids):,} images together; images.txt has their ids."
    parts = [f"{name} {settings[name]}" for name in ("fraction", "per_class", "images", "imbalance")
             if settings.get(name) is not None]  # fmt: skip
    if not settings:
        return ""
    chosen = f" ({', '.join(parts)})" if parts else ""
    ids = "the SHA-256 over its images' ids is in ticket.json"
    if ticket.ids is not None:
        ids = f"the ids of its {len(ticket.ids):,} images are in images.txt, which `--subset_file` takes"
    return f"Trained on the training part{chosen}, subset seed {settings.get('subset_seed')}; {ids}."


def _numbers(metrics, test_images):
    lines = ["| measured | value | 95 % interval |", "|---|---|---|"]
    for name, title in _NAMES.items():
        value = metrics.get(name)
        if value is None:
            continue
        if "loss" in name:
            lines.append(f"| {title} | {value:.4f} | |")
            continue
        interval = ""
        if name == "test_accuracy" and test_images:
            from scipy import stats  # which takes a second to import

            right = round(value * test_images)
            low, high = stats.binomtest(right, test_images).proportion_ci(0.95, "wilson")
            interval = f"[{100 * low:.2f}, {100 * high:.2f}] over {test_images:,} images"
        lines.append(f"| {title} | {100 * value:.2f} % | {interval} |")
    if len(lines) == 2:
        return "Nothing was measured on this ticket."
    lines.append(
        "\nThe interval is for this one network, over the draw of test images. Another seed or subset gives other "
        "numbers; to see how different they are, compare several runs with `report`."
    )
    return "\n".join(lines)


def _settings(settings):
    known = options()
    changed = [
        f"{name} {_setting(value)}" for name, value in settings.items()
        if name in known and value not in (None, known[name].default)
        and not (name == "order_seed" and value == settings.get("seed"))  # unset, it is the seed
    ]  # fmt: skip
    return ", ".join(changed) + "." if changed else "None."


def _setting(value):
    """A setting's value; what Markdown could read otherwise is set as code."""
    text = str(value)
    return text if re.fullmatch(r"[\w.,:()+=/|-]*", text) and "__" not in text else code(text)


def _temperature(ticket):
    """What its probabilities are divided by, and on which images that was fitted."""
    fitted = ticket.calibration
    folds, images = folds_of(fitted["method"]), f"{fitted['images']:,} images"
    if folds:
        where = (
            f"{folds} networks trained like it, each without one of {folds} parts of its training images, on that part"
        )
    elif ticket.refits:
        where = "its round of the search, before it was trained again on these images too, on the validation part"
    else:
        where = "it on the validation part, which it was not trained on"
    return (
        f"Probabilities are softmax(logits / {ticket.temperature:.6g}) in every format; the logits are not changed. "
        f"The temperature makes {images} most likely, as predicted by {where} (Guo et al. 2017). Their mean negative "
        f"log-likelihood is {fitted['loss_before']:.4f} without it and {fitted['loss']:.4f} with it."
    )


def _limits(ticket):
    calibrated = all(member.calibration for member in ticket.members)
    limits = [
        "It knows only its classes, and gives one of them for any picture.",
        "Its probabilities are not calibrated; `evaluate` measures by how much."
        if not calibrated
        else "The probabilities of its members are calibrated one by one; `evaluate` measures how well their "
        "mean is calibrated."
        if len(ticket.members) > 1
        else "Its probabilities are calibrated for pictures like those of its training; `evaluate` measures how well.",
        "It was tested on pictures like those of its training. On other, corrupted or attacked pictures it is less "
        "accurate; `evaluate --evaluators=corruptions,shift,fgsm,pgd` measures by how much.",
        "The zeros make it small. They make it fast only in a program that skips them: the SavedModel computes with "
        "them, `tf_tickets.runtime` does not.",
    ]
    return "\n".join(f"- {limit}" for limit in limits)
