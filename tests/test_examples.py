"""examples.npz and its part of the page: photographs too, at a bounded size, and the ticket's surest mistakes."""

import dataclasses
import io
import os

import numpy as np
import pytest
from PIL import Image

from tf_tickets import runs, storage
from tf_tickets.data import pipeline
from tf_tickets.evaluation import predictions
from tf_tickets.registry import DATASETS
from tf_tickets.report import details, thumbnails

RNG = np.random.default_rng(8)
LABELS = np.tile([0, 1], 30)
CLASSES = ("cat<b>", "dog")


def encoded(channels):
    """Sixty photographs of noise, which compresses least, as PNG bytes."""
    found = np.empty(len(LABELS), object)
    for index in range(len(LABELS)):
        pixels, buffer = RNG.integers(0, 256, (130 + index, 150, channels), np.uint8), io.BytesIO()
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(buffer, "PNG")
        found[index] = buffer.getvalue()
    return pipeline.Images(found, LABELS, np.arange(len(LABELS)))


def logits_of(predicted, confidences):
    """Logits of two classes with these predictions and probabilities."""
    found = np.zeros((len(predicted), 2))
    found[np.arange(len(predicted)), predicted] = np.log(confidences / (1 - confidences))
    return found.astype(np.float32)


@pytest.fixture
def run(tmp_path):
    """A run of two rounds: dense has the first half wrong, the ticket the last twenty."""
    folder = runs.RunFolder(str(tmp_path / "folder-vgg11-00000000" / "seed_0"))
    wrong = 1 - LABELS
    sure = np.linspace(0.55, 0.99, len(LABELS))
    place = np.arange(len(LABELS))
    for index, predicted in enumerate((np.where(place < 30, wrong, LABELS), np.where(place < 40, LABELS, wrong))):
        predictions.keep(folder.round(index).predictions, logits_of(predicted, sure[::-1]), LABELS)
    storage.write_json(os.path.join(folder.ticket, "ticket.json"), {"round": 1, "settings": {}})
    rows = [{"id": f"cat/{index}.png", "label": label, "part": "test"} for index, label in enumerate(LABELS)]
    storage.write_csv(folder.subset, [{"id": "cat/x.png", "label": 0, "part": "train"}, *rows], ("id", "label", "part"))
    return folder


@pytest.mark.parametrize(("name", "channels"), [("isic2018", 3), ("clamm", 1)])
def test_photographs_are_kept_small_as_evaluation_sees_them(run, name, channels):
    data_set = dataclasses.replace(DATASETS[name].facts, labels=CLASSES)
    images = encoded(channels)
    predictions.write_examples(run, lambda: images, data_set)
    found = storage.read_arrays(run.examples)
    assert found["images"].shape == (24, 96, 96, channels) and found["mistaken_images"].shape == (12, 96, 96, channels)
    seen = pipeline.evaluation_pixels(images, slice(None), data_set).astype(np.uint8)
    for prefix, kept in (("", "images"), ("mistaken_", "mistaken_images")):
        for place, position in enumerate(found[f"{prefix}positions"]):
            picture = Image.fromarray(seen[position][..., 0] if channels == 1 else seen[position])
            wanted = np.asarray(picture.resize((96, 96), Image.Resampling.BILINEAR)).reshape(96, 96, channels)
            np.testing.assert_array_equal(found[kept][place], wanted)
            assert found[f"{prefix}names" if prefix else "names"][place] == f"cat/{position}.png"
    assert os.path.getsize(run.examples) < 1_100_000
    assert (int(found["gained"]), int(found["lost"]), int(found["mistakes"])) == (30, 20, 20)


def test_the_surest_mistakes_come_first(run):
    data_set = dataclasses.replace(DATASETS["cifar10"].facts, labels=CLASSES)
    pixels = RNG.integers(0, 256, (60, 32, 32, 3), np.uint8)
    images = pipeline.Images(pixels, LABELS, np.arange(60))
    predictions.write_examples(run, lambda: images, data_set)
    found = storage.read_arrays(run.examples)
    # Confidence falls with the position.
    assert list(found["mistaken_positions"]) == list(range(40, 52))
    np.testing.assert_array_equal(found["mistaken_images"], pixels[40:52])
    np.testing.assert_allclose(found["mistaken_confidences"], np.linspace(0.99, 0.55, 60)[40:52], atol=1e-6)
    assert (found["mistaken_predictions"] != found["mistaken_labels"]).all()
    equal = predictions.choose_mistakes(np.zeros(3, int), np.array([1, 0, 1]), np.array([0.6, 0.9, 0.6]))
    assert list(equal) == [0, 2]


def test_files_of_an_earlier_version_are_made_anew(run):
    data_set = dataclasses.replace(DATASETS["cifar10"].facts, labels=CLASSES)
    images = pipeline.Images(np.zeros((60, 32, 32, 3), np.uint8), LABELS, np.arange(60))
    path = run.round(1).predictions
    kept = storage.read_arrays(path)
    storage.write_arrays(path, {name: array for name, array in kept.items() if name != "confidences"})
    assert not predictions.are_kept(path) and predictions.are_kept(run.round(0).predictions)
    predictions.write_examples(run, lambda: images, data_set)
    assert not os.path.exists(run.examples)
    storage.write_arrays(path, kept)
    storage.write_arrays(run.examples, {"round": np.int64(1)})
    predictions.write_examples(run, lambda: images, data_set)
    assert "mistakes" in storage.read_arrays(run.examples)


def test_the_page_shows_them(run):
    data_set, images = dataclasses.replace(DATASETS["isic2018"].facts, labels=CLASSES), encoded(3)
    predictions.write_examples(run, lambda: images, data_set)
    problems = []
    text = "\n".join(thumbnails.sections(details.examples(run, problems), "a/run"))
    assert problems == [] and text.count("data:image/png") == 36 and "cat<b>" not in text
    assert "The ticket is wrong on 20 of 60 test images" in text and "the ticket alone has 30 right" in text
    assert text.count('title="cat/40.png: cat&lt;b&gt;"') == 2 and "ticket: dog, 69.2 %" in text
    arrays = storage.read_arrays(run.examples)
    earlier = {name: array for name, array in arrays.items() if not name.startswith("mista")}
    storage.write_arrays(run.examples, earlier)
    assert "surest" not in "\n".join(thumbnails.sections(details.examples(run, problems), "a/run"))
    for change in ({"mistaken_labels": arrays["mistaken_labels"][:3]}, {"mistaken_predictions": np.full(12, 2)}):
        storage.write_arrays(run.examples, arrays | change)
        assert details.examples(run, problems) is None
    assert len(problems) == 2


def test_without_differences_mistakes_alone_are_shown(run):
    for index in (0, 1):
        predictions.keep(run.round(index).predictions, logits_of(1 - LABELS, np.full(60, 0.75)), LABELS)
    images = encoded(1)
    predictions.write_examples(run, lambda: images, dataclasses.replace(DATASETS["clamm"].facts, labels=CLASSES))
    text = "\n".join(thumbnails.sections(details.examples(run, []), "a/run"))
    assert "tell apart" not in text and text.count("data:image/png") == 12
