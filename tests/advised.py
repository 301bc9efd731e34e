"""Pictures for `advise`: folders of each class in a colour, what is found in them, and how much work that is."""

import dataclasses

import numpy as np
import pytest
from absl import flags
from PIL import Image

import tf_tickets as tt
from tf_tickets import main
from tf_tickets.advise import backbones, findings, held_out
from tf_tickets.advise.collection import Collection, Images
from tf_tickets.advise.stages import Stages
from tf_tickets.data import folder, pipeline, thumbnailing
from tf_tickets.registry import DATASETS
from tf_tickets.settings import cli

CLASSES = ("cat", "dog", "hen")

QUIET = Stages("none", ["copies", "accuracy", "curve"])


@pytest.fixture(autouse=True)
def looked_at_anew():
    """Folders are looked at once per process."""
    folder.scan.cache_clear()


EFFORT = {name: getattr(held_out, name) for name in ("_REPEATED", "_SLOW")}


@pytest.fixture(autouse=True)
def few_folds(monkeypatch):
    """The folds, repeats and penalties of many pictures, a tenth of the probes; test_advise_estimates has all."""
    for name in EFFORT:
        monkeypatch.setattr(held_out, name, 0)


@pytest.fixture(name="all_folds")
def all_folds_again(few_folds, monkeypatch):
    """As many as the pictures of a test have without it, where intervals or suspects hang on them."""
    for name, work in EFFORT.items():
        monkeypatch.setattr(held_out, name, work)


def collection_of(pixels, labels, parts=None, *, apart=False, spread=0.3):
    """A Collection of uint8 [n, side, side, 3] whose features tell the classes apart."""
    labels = np.array(labels)
    draws = np.random.default_rng(0)
    features = np.eye(len(CLASSES))[labels] + draws.normal(0, spread, (len(labels), len(CLASSES)))
    parts = tuple(parts or ["train"] * len(labels))
    data_set = dataclasses.replace(DATASETS["digits"].facts, labels=CLASSES, image_shape=pixels.shape[1:])
    images = Images([pipeline.Images(pixels, labels, np.arange(len(labels)))], 255.0)
    return Collection(
        data_set, tuple(f"{CLASSES[label]}/{row}.png" for row, label in enumerate(labels)), labels, parts,
        (None,) * len(labels), np.array([part != "test" or not apart for part in parts]),
        features.astype(np.float32), np.stack([thumbnailing.thumbnail(picture) for picture in images.each()]),
        np.full((len(labels), 2), pixels.shape[1]), np.full(len(labels), 3), images, (),
    )  # fmt: skip


def pictures(count, seed=0):
    """Unlike pictures, each coarse noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((32, 32), Image.Resampling.BICUBIC)) for each in coarse])


def findings_of(collection, outside=True):
    backbone = backbones.Backbone(tt.Config(dataset="digits"), None, "a test's network", outside)
    return findings.compute(collection, backbone, 0, stages=QUIET, stop=lambda: False)


def executed(*words):
    """(exit status, what is said of an error) of a command in this process."""
    try:
        return main.main(cli.parse(["tf-tickets", *map(str, words)], flags.FlagValues())), ""
    except tt.errors.TicketError as error:
        return error.exit_status, str(error)
