"""What to train on the pictures: a probe, fine-tuning, a ticket, or nothing yet, with the commands."""

from __future__ import annotations

import dataclasses
import shlex

from tf_tickets.advise.findings import Findings
from tf_tickets.errors import install
from tf_tickets.settings.config import Config
from tf_tickets.settings.places import FLAGS, is_name

# What is measured on CIFAR-10 with 50 images per class, in per cent and points; each is tied to its rows by a test.
PROBE, FINE_TUNED = 81.7, 87.6  # results/backbones, six pairs
FINE_TUNING = (5.9, 5.2, 6.6)  # results/backbones: over the probe, with its interval
ALONE = 64.2  # results/dense_curve: without outside data, 1,000 epochs, six pairs
TICKET, TICKET_LOSS = 4.29, 2.3  # results/long_search: behind a dense network of as many epochs, three pairs
PRETRAINED, PRETRAINED_LOSS = 66.5, 0.4  # results/backbones: weights left and points, learning_rate:2, one pair
SPARSER, SPARSER_LOSS = 44.2, 3.7

INSTALL = install("lite0")
# Accuracy from which a probe is left as it is.
_ENOUGH = 0.95
# Smaller images are enlarged to this side inside of a pretrained network.
_ENLARGED = 160
# The file that stands for images from Python, which have none.
WRITTEN = "pictures.npz"
_OF_PICTURES = (*FLAGS, "fraction", "per_class", "images", "subset_seed", "subset_file")
_RECIPE, _ALONE = "my_images_pretrained.cfg", "my_images.cfg"


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """One thing to do.

    Attributes:
      title: what, in a few words.
      reasons: sentences: why, in this page's numbers or in published ones.
      commands: command lines to copy.
    """

    title: str
    reasons: tuple[str, ...]
    commands: tuple[str, ...] = ()


def recommended(findings: Findings, config: Config) -> tuple[Recommendation, Recommendation]:
    """What to train, and when a ticket.

    Args:
      findings: what was found; its accuracy is known.
      config: of the request; its data settings are put into the commands.
    """
    place = _place(config)
    network, ticket = _recommended(findings, place)
    if WRITTEN not in place:
        return network, ticket
    written = f"The commands read {WRITTEN}: write it from Python with data.save({WRITTEN!r}), or go on in Python."
    return dataclasses.replace(network, reasons=(*network.reasons, written)), ticket


def _recommended(findings, place):
    if not findings.backbone.outside:
        return _pretrained(findings, place), _own_ticket()
    data_set = findings.collection.data_set
    if not data_set.encoded and min(data_set.image_shape[:2]) < _ENLARGED:
        place += f" --image_size={_ENLARGED}"
    return _tuned(findings, place), _pretrained_ticket(place)


def _pretrained(findings, place):
    share = 100 * findings.estimate.accuracy.value
    return Recommendation(
        "Start from a pretrained network, unless you may not",
        (
            f"The {share:.0f} % of this page are what a small network shows that has seen nothing else. On CIFAR-10 "
            f"with 50 images per class pretrained networks had {PROBE} % (probe) and {FINE_TUNED} % (fine-tuned), "
            f"networks without outside data {ALONE} %.",
        ),
        (
            INSTALL,
            _command("advise", place),
            f"{_command('imp', f'--flagfile={_ALONE} {place}')}  # without outside data: hours",
        ),
    )


def _tuned(findings, place):
    accuracy = findings.estimate.accuracy
    probe = _command("train", f"--control=probe --flagfile={_RECIPE} {place}")
    if accuracy.low >= _ENOUGH:
        return Recommendation(
            "Use the linear probe as it is",
            (f"It recognises {100 * accuracy.value:.1f} % of unseen pictures, and takes a minute.",), (probe,),
        )  # fmt: skip
    gain, low, high = FINE_TUNING
    return Recommendation(
        "Fine-tune the pretrained network",
        (
            "The accuracy of this page is that of a linear probe, which fits the last layer alone. Fine-tuned, the "
            f"same network was {gain} points [{low}, {high}] better on CIFAR-10 with 50 images per class, in all six "
            "pairs; other pictures may gain less or more.",
        ),
        (_command("train", f"--flagfile={_RECIPE} {place}"), f"{probe}  # the probe, in a minute"),
    )


def _pretrained_ticket(place):
    return Recommendation(
        "A ticket only where size matters",
        (
            "A ticket makes the network smaller, not better. Fine-tuned on CIFAR-10 with 50 images per class (one "
            f"pair, which shows nothing) it lost {PRETRAINED_LOSS} points at {PRETRAINED} % of the weights and "
            f"{SPARSER_LOSS} at {SPARSER} %. If you want one, stop near {PRETRAINED:.0f} %:",
        ),
        (_command("imp", f"--flagfile={_RECIPE} --rounds=3 --rate=0.185 {place}"),),
    )


def _own_ticket():
    return Recommendation(
        "A ticket only where size matters",
        (
            f"Without outside data a ticket of {TICKET} % of the weights was {TICKET_LOSS} points behind a dense "
            f"network on CIFAR-10 with 50 images per class (three pairs, which show nothing). The recipe {_ALONE} "
            "trains both and says which to use.",
        ),
    )


def _place(config):
    """The flags that name the pictures; the recipes are for folders."""
    values, defaults = config.values(), Config().values()
    given = {name: str(values[name]) for name in _OF_PICTURES if values[name] != defaults[name]}
    # What was given from Python has no path yet.
    given |= {name: WRITTEN for name, value in given.items() if is_name(value)}
    data_set = [] if values["dataset"] == "folder" else [f"--dataset={shlex.quote(values['dataset'])}"]
    return " ".join([*data_set, *(f"--{name}={shlex.quote(value)}" for name, value in given.items())])


def _command(command, flags):
    return f"python -m tf_tickets.main {command} {flags}"
