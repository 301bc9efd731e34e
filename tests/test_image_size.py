"""Networks of a size of their own: images enlarged inside, photographs cropped, published weights by name."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
from absl import flags
from conftest import SETTINGS
from PIL import Image
from safetensors.numpy import save_file
from test_parity import torch_state

import tf_tickets as tt
from tf_tickets import main, storage
from tf_tickets.backend import tf
from tf_tickets.data.sources import facts_of
from tf_tickets.errors import UsageError
from tf_tickets.experiments.plan import resolve
from tf_tickets.models import architecture, inference, state
from tf_tickets.models.description import Published
from tf_tickets.registry import NETWORKS
from tf_tickets.settings import cli

MEAN, DEVIATION = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.fixture
def own_size(monkeypatch, tmp_path):
    """resnet18 as a network that sees 16 pixels, with a preprocessing and published weights of its own."""
    model = tt.models.build("resnet18", classes=7, image_shape=(16, 16, 1), stem="full", width=2, seed=9)
    path = str(tmp_path / "published.safetensors")
    save_file({name: np.ascontiguousarray(a) for name, a in torch_state(state.get_state(model)).items()}, path)
    published = Published(find=lambda: path, origin="a test's own weights", licence="CC0-1.0")
    entry = dataclasses.replace(
        NETWORKS["resnet18"], image_size=16, normalisation=(MEAN, DEVIATION), imagenet=published
    )
    monkeypatch.setitem(NETWORKS._parts, "resnet18", entry)
    return path, state.get_state(model)


def photographs(folder, size=(120, 90)):
    draws = np.random.default_rng(0)
    for label in ("left", "right"):
        os.makedirs(folder / label)
        for index in range(6):
            Image.fromarray(draws.integers(0, 255, (*size, 3), np.uint8)).save(folder / label / f"{index}.png")
    return str(folder)


def test_images_are_enlarged_as_a_resizing_of_them_would_be():
    given = {"classes": 3, "stem": "small", "width": 2, "seed": 1}
    inside = tt.models.build("resnet18", image_shape=(8, 6, 1), image_size=12, **given)
    outside = tt.models.build("resnet18", image_shape=(16, 12, 1), **given)
    images = np.random.default_rng(0).normal(size=(5, 8, 6, 1)).astype(np.float32)
    resized = tf.image.resize(images, (16, 12), "bilinear")
    np.testing.assert_allclose(inside(images), outside(resized), rtol=0, atol=1e-6)
    assert np.abs(inside(images) - tt.models.build("resnet18", image_shape=(8, 6, 1), **given)(images)).max() > 1e-3


def test_a_ticket_takes_images_as_they_are(tmp_path):
    config = tt.Config.from_values(
        **SETTINGS | {"image_size": 20, "rounds": 2, "epochs": 3, "tensorboard": False}, out=str(tmp_path)
    )
    result = tt.imp(config)
    folder = os.path.join(result.folder, "ticket")
    ticket = tt.Ticket.load(folder)
    assert ticket.network["image_shape"] == [8, 8, 1] and ticket.network["image_size"] == 20
    images = np.random.default_rng(1).integers(0, 17, (4, 8, 8, 1), np.uint8)
    served = tf.saved_model.load(folder).signatures["serving_default"](images=tf.constant(images))
    np.testing.assert_allclose(served["probabilities"], ticket.predict(images), rtol=0, atol=1e-6)
    plain = dataclasses.replace(ticket, network={k: v for k, v in ticket.network.items() if k != "image_size"})
    assert np.abs(plain.predict(images) - ticket.predict(images)).max() > 1e-4


@pytest.mark.parametrize("size", ["16", 0, -3, 1 << 21, 2.0, True, 4])
def test_a_ticket_whose_image_size_is_none_is_refused(size, tmp_path):
    config = tt.Config.from_values(
        **SETTINGS | {"image_size": 12, "rounds": 1, "epochs": 3, "tensorboard": False}, out=str(tmp_path)
    )
    folder = os.path.join(tt.imp(config).folder, "ticket")
    path = os.path.join(folder, "ticket.json")
    document = storage.read_json(path)
    document["network"]["image_size"] = size
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)
    with pytest.raises((UsageError, tt.errors.StateError)):
        tt.Ticket.load(folder)


def test_images_are_not_shrunk_inside():
    with pytest.raises(UsageError, match="--image_size=8: the images are 32x32, and are enlarged"):
        resolve(tt.Config.from_values(dataset="cifar10", per_class=5, image_size=8))


def test_a_network_of_its_own_size_enlarges_crops_and_normalises(own_size, tmp_path):
    digits = resolve(tt.Config.from_values(dataset="digits", width=2, epochs=3))
    assert (digits.network.given_shape, digits.network.image_shape) == ((8, 8, 1), (16, 16, 1))
    assert digits.network.stem == "full"
    assert (digits.data_set.mean, digits.data_set.deviation) == ((0.5,), (0.25,))
    pictures = photographs(tmp_path / "pictures")
    cropped = resolve(tt.Config.from_values(dataset="folder", data_dir=pictures, width=2, epochs=3))
    assert cropped.data_set.image_shape == cropped.network.image_shape == (16, 16, 3)
    assert cropped.network.enlarged_from is None and cropped.data_set.mean == MEAN
    larger = resolve(tt.Config.from_values(dataset="folder", data_dir=pictures, width=2, epochs=3, image_size=40))
    assert larger.data_set.image_shape == (40, 40, 3)


def test_larger_images_stay_as_they_are(own_size):
    facts = dataclasses.replace(facts_of(tt.Config.from_values(dataset="cifar10").data), image_shape=(40, 32, 3))
    seen = architecture.as_seen(tt.Config.from_values(dataset="cifar10").network, facts)
    described = architecture.from_config(tt.Config.from_values(dataset="cifar10").network, seen)
    assert described.given_shape == described.image_shape == (40, 32, 3)


def test_channels_that_a_preprocessing_does_not_know_are_refused(own_size):
    with pytest.raises(UsageError, match="takes images of 3 channels, or grey ones, and these have 13"):
        resolve(tt.Config.from_values(dataset="eurosat_all", epochs=3))


def test_photographs_of_a_run_at_another_size_are_evaluated_at_it(tmp_path, capsys):
    pictures = photographs(tmp_path / "pictures")
    words = (
        f"--dataset=folder --data_dir={pictures} --model=resnet18 --width=2 --image_size=24 --epochs=3 --rounds=1 "
        f"--batch_size=4 --notensorboard --progress=none --out={tmp_path / 'runs'}"
    ).split()
    assert status_of("imp", *words) == 0
    (run,) = (tmp_path / "runs").glob("*/*")
    assert storage.read_json(str(run / "data.json"))["image_shape"] == [24, 24, 3]
    ticket = str(run / "ticket")
    assert status_of("evaluate", str(run), "--evaluators=clean") == 0
    assert status_of("export", ticket, "--format=tflite", f"--out={tmp_path / 'exported'}") == 0
    assert "images of noise" not in capsys.readouterr().out
    assert status_of("verify", ticket) == 0
    assert status_of("predict", ticket, f"{pictures}/left/0.png") == 0
    answer = capsys.readouterr().out
    assert "left/0.png" in answer and "%" in answer


def status_of(*words):
    return main.main(cli.parse(["tf-tickets", *words], flags.FlagValues()))


def test_published_weights_by_name_are_loaded_and_named(own_size, tmp_path):
    path, expected = own_size
    still = {"learning_rate": 1e-20, "weight_decay": 0.0, "tensorboard": False, "rounds": 1, "epochs": 3}
    config = tt.Config.from_values(
        **SETTINGS | still | {"pretrained": "imagenet", "rewind": "pretrained"}, out=str(tmp_path / "runs")
    )
    folder = tt.imp(config).folder
    ticket = tt.Ticket.load(os.path.join(folder, "ticket"))
    name = next(iter(ticket.masks))
    np.testing.assert_array_equal(ticket.trained[f"{name}/kernel"], expected[f"{name}/kernel"])
    backbone = {"sha256": storage.file_digest(path), "origin": "a test's own weights", "licence": "CC0-1.0"}
    assert ticket.settings["backbone"] == backbone
    card = pathlib.Path(folder, "ticket", "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## Backbone" in card and all(text in card for text in backbone.values())
    assert tt.imp(config.replace(pretrained=path)).folder == folder


def test_a_network_without_published_weights_says_which_have_them(command, tmp_path):
    ran = command(tmp_path, "--dataset=digits", "--model=vgg11", "--pretrained=imagenet", "--dry_run")
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1
    assert "--pretrained=imagenet: no weights are published for --model=vgg11" in ran.stderr


def test_networks_that_see_large_images_compute_fewer_at_once():
    plain = tt.models.build("vgg11", classes=3, image_shape=(8, 8, 1), width=2)
    enlarging = tt.models.build("vgg11", classes=3, image_shape=(8, 8, 1), width=2, image_size=16)
    calls = []

    def compute(images):
        calls.append(len(images))
        return images[:, 0, 0, :]

    images = np.random.default_rng(0).normal(size=(450, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(inference.in_parts(compute, images, enlarging), images[:, 0, 0, :])
    assert calls == [100, 100, 100, 100, 50]
    calls.clear()
    inference.in_parts(compute, images, plain)
    assert calls == [450]
