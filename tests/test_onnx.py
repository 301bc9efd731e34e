"""ONNX files: ONNX Runtime gives the SavedModel's numbers, in 8 bits nearly, and is told what the ticket is."""

import dataclasses
import json
import os
import pathlib
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import QUICK, ROOT
from random_tickets import random_ticket

import tf_tickets as tt
from tf_tickets import backend, storage
from tf_tickets.backend import tf
from tf_tickets.data import sources
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export import formats, joint_ticket, onnx_file, samples, saved_model
from tf_tickets.export.ticket import Ticket
from tf_tickets.registry import NETWORKS

CONFIG = tt.Config.from_values(dataset="digits")
RNG = np.random.default_rng(11)
# Every operation of the runtime: strides, poolings, paddings, depthwise filters, cosines, every head, odd sizes.
FAST = [
    ("resnet18", (33, 45, 3), "full", "cosine"), ("harmonic_resnet18", (19, 16, 3), "full", "linear"),
    ("full_conv_resnet18", (9, 12, 3), "small", "tvmf"), ("vgg11", (32, 37, 1), "small", "cosine"),
    ("mobilenet_v2", (33, 32, 13), "full", "linear"), ("wide_resnet16", (17, 16, 3), "small", "tvmf"),
]  # fmt: skip
HEADS = ("linear", "cosine", "tvmf")
ALL = [
    (name, (33 + 2 * index, 40, 3), ("full", "small")[index % 2], HEADS[index % 3])
    for index, name in enumerate(name for name, network in NETWORKS.items() if network.runtime)
]
HOSTILE = ("it's", 'a "quoted" \\ one', "*/ end", "??/ trigraph", "two\nlines", "🦆 und Ä", "%s {0} $HOME", "<b>&amp;")


def answers(data, images):
    """{output: values} by ONNX Runtime."""
    session = onnxruntime.InferenceSession(data)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": images})))


def pictures(ticket, count):
    return RNG.integers(0, 256, (count, *ticket.data["image_shape"]), np.uint8)


def served(ticket, folder, images):
    """{output: values} by the SavedModel."""
    saved_model.save(ticket, str(folder))
    loaded = tf.saved_model.load(str(folder))
    return {name: value.numpy() for name, value in loaded.signatures["serving_default"](images=images).items()}


@pytest.mark.parametrize(("network", "densities"), [
    *(pytest.param(network, (0.05, 1.0), id="-".join(map(str, network))) for network in FAST),
    *(pytest.param(network, (0.3,), id="-".join(map(str, network)), marks=pytest.mark.slow) for network in ALL),
])  # fmt: skip
def test_onnx_runtime_and_the_saved_model_agree(network, densities, tmp_path):
    for density in densities:
        ticket = random_ticket(*network, density, 3)
        data = onnx_file.convert(ticket)
        onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
        images = pictures(ticket, 5)
        found, wanted = answers(data, images), served(ticket, tmp_path / str(density), images)
        # Where large terms cancel, what float32 rounds away of the largest logit is all that a small one has.
        rounding = 2e-6 * np.abs(wanted["logits"]).max(axis=1, keepdims=True)
        bound = 1e-5 * np.maximum(1.0, np.abs(wanted["logits"])) + rounding
        assert (np.abs(found["logits"] - wanted["logits"]) <= bound).all()
        np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], atol=1e-5)
        np.testing.assert_array_equal(found["class"], found["logits"].argmax(axis=1))


def test_any_number_of_images_is_taken():
    ticket = random_ticket(*FAST[0], 0.3, 1)
    data, images = onnx_file.convert(ticket), pictures(ticket, 9)
    together = answers(data, images)["logits"]
    alone = np.concatenate([answers(data, image[np.newaxis])["logits"] for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert answers(data, images[:0])["class"].shape == (0,)


def test_a_temperature_changes_probabilities_and_no_logits():
    ticket = random_ticket(*FAST[3], 0.5, 2)
    warm = dataclasses.replace(ticket, calibration={
        "temperature": 2.5, "method": "validation", "images": 10, "loss_before": 1.0, "loss": 0.9,
    })  # fmt: skip
    images = pictures(ticket, 4)
    cold, found = answers(onnx_file.convert(ticket), images), answers(onnx_file.convert(warm), images)
    np.testing.assert_array_equal(found["logits"], cold["logits"])
    np.testing.assert_allclose(found["probabilities"], warm.predict(images), atol=1e-6)
    assert np.abs(found["probabilities"] - cold["probabilities"]).max() > 1e-3
    assert properties(onnx_file.convert(warm))["temperature"] == "2.5"


def test_an_ensemble_is_the_mean_of_its_members(tmp_path):
    members = [random_ticket(*FAST[3], 0.5, seed) for seed in (1, 2, 3)]
    members[1] = dataclasses.replace(members[1], calibration={
        "temperature": 0.01, "method": "validation", "images": 10, "loss_before": 1.0, "loss": 0.9,
    })  # fmt: skip
    joined = joint_ticket.of({str(index): member for index, member in enumerate(members)})
    images = pictures(joined, 6)
    found, wanted = answers(onnx_file.convert(joined), images), served(joined, tmp_path / "saved", images)
    np.testing.assert_allclose(found["probabilities"], np.mean([m.predict(images) for m in members], 0), atol=1e-6)
    for name in ("logits", "probabilities"):
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-5, rtol=1e-5)


def properties(data):
    return {entry.key: entry.value for entry in onnx.load_model_from_string(data).metadata_props}


def test_hostile_labels_are_read_as_they_are():
    ticket = random_ticket(*FAST[3], 0.5, 2)
    labels = [*HOSTILE, *(f"class {index}" for index in range(len(HOSTILE), 10))]
    ticket = dataclasses.replace(ticket, data=ticket.data | {"labels": labels})
    session = onnxruntime.InferenceSession(onnx_file.convert(ticket))
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["labels"]) == labels
    assert told["ticket_sha256"] == ticket.content_digest
    assert float(told["density"]) == ticket.density


def test_pixels_of_sixteen_bits_are_taken():
    ticket = random_ticket(*FAST[4], 0.5, 2)
    ticket = dataclasses.replace(ticket, data=ticket.data | {"dtype": "uint16", "scale": 10000.0})
    images = RNG.integers(0, 20000, (3, *ticket.data["image_shape"]), np.uint16)
    np.testing.assert_allclose(
        answers(onnx_file.convert(ticket), images)["probabilities"], ticket.predict(images), atol=1e-5
    )


def test_weights_that_no_file_holds_are_refused(monkeypatch):
    monkeypatch.setattr(onnx_file, "_MOST_BYTES", 1000)
    with pytest.raises(StateError, match="bytes, and an ONNX file holds 2 GiB; leave onnx out of --format"):
        onnx_file.convert(random_ticket(*FAST[3], 0.5, 2))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run on digits; treat as read-only."""
    settings = QUICK | {"images": 300, "width": 4, "epochs": 8, "rounds": 2, "rate": 0.6}
    return tt.imp(tt.Config.from_values(**settings, out=str(tmp_path_factory.mktemp("runs")))).folder


def of_eight_bits(folder, out):
    """Test accuracy of a run's ticket on digits, and of its ONNX file of 8 bits."""
    formats.export(f"{folder}/ticket", ["onnx_int8"], CONFIG, str(out))
    images, labels = sources.load("digits").test()
    found = answers((out / "ticket_int8.onnx").read_bytes(), images)["class"]
    return (Ticket.load(f"{folder}/ticket").predict(images).argmax(1) == labels).mean(), (found == labels).mean()


def test_eight_bits_cost_little_accuracy(run_folder, tmp_path):
    plain, eighth = of_eight_bits(run_folder, tmp_path)
    assert abs(plain - eighth) <= 0.02


@pytest.mark.slow
def test_eight_bits_cost_the_quickstart_s_ticket_at_most_a_point(tmp_path):
    config = tt.Config.from_flagfile(str(ROOT / "flags" / "quickstart.cfg")).replace(out=str(tmp_path / "runs"))
    plain, eighth = of_eight_bits(tt.imp(config).folder, tmp_path)
    assert plain - eighth <= 0.01


@pytest.mark.parametrize("network", FAST, ids=lambda network: "-".join(map(str, network)))
def test_every_operation_is_executed_in_eight_bits(network):
    """Loaded with all optimisations of ONNX Runtime, for any number of images."""
    ticket = random_ticket(*network, 1.0, 3)
    images = pictures(ticket, 20)
    plain = onnx_file.convert(ticket)
    eighth = onnx_file.quantised(plain, images)
    assert len(eighth) < 0.55 * len(plain)
    for count in (1, 20):
        found, wanted = (answers(data, images[:count])["probabilities"] for data in (eighth, plain))
        np.testing.assert_allclose(found, wanted, atol=0.02)


def test_kernels_of_eight_bits_have_a_scale_for_each_channel(run_folder, tmp_path):
    formats.export(f"{run_folder}/ticket", ["onnx_int8"], CONFIG, str(tmp_path))
    weights = {
        w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(str(tmp_path / "ticket_int8.onnx")).graph.initializer
    }
    kernels = {name: array for name, array in weights.items() if name.endswith("kernel_quantized")}
    assert len(kernels) == len(Ticket.load(f"{run_folder}/ticket").masks) + 1  # and the head
    assert {array.dtype for array in kernels.values()} == {np.dtype(np.int8)}
    # Seven bits: on processors without instructions for products of eight the sums of two would overflow.
    assert max(np.abs(array.astype(int)).max() for array in kernels.values()) <= 64
    for name, array in kernels.items():
        assert weights[name.replace("_quantized", "_scale")].shape == array.shape[:1] or array.ndim == 2


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_images_of_one_pixel_are_taken_in_any_number(name):
    ticket = random_ticket(name, (1, 1, 3), "small", "linear", 1.0, 3)
    eighth = onnx_file.quantised(onnx_file.convert(ticket), pictures(ticket, 20))
    for count in (0, 1, 20):
        assert answers(eighth, pictures(ticket, count))["probabilities"].shape == (count, 10)


def test_kernels_of_depthwise_convolutions_take_all_eight_bits():
    ticket = random_ticket(*FAST[4], 1.0, 3)
    model = onnx.load_from_string(onnx_file.quantised(onnx_file.convert(ticket), pictures(ticket, 20)))
    most = {True: [], False: []}
    for weight in model.graph.initializer:
        if weight.name.endswith("kernel_quantized") and len(weight.dims) == 4:
            most[weight.dims[1] == 1].append(np.abs(onnx.numpy_helper.to_array(weight).astype(int)).max())
    most[True] = [value for value in most[True] if value]  # of layers that have no weight left it is 0
    assert len(most[True]) > 8 and min(most[True]) >= 127 and 0 < max(most[False]) <= 64


def test_eight_bits_are_calibrated_on_training_images_alone(run_folder, tmp_path, monkeypatch):
    seen, quantised = [], onnx_file.quantised
    monkeypatch.setattr(onnx_file, "quantised", lambda data, images: seen.append(images) or quantised(data, images))
    formats.export(f"{run_folder}/ticket", ["onnx_int8"], CONFIG, str(tmp_path))
    source, ticket = sources.load("digits"), Ticket.load(f"{run_folder}/ticket")
    where = [source.ids.index(name) for name in ticket.ids]
    trained = {image.tobytes() for image in source.images(np.array(where))}
    assert {image.tobytes() for image in seen[0]} <= trained

    unknown = samples.Sample(seen[0], "test images", seen[0], "test images")
    monkeypatch.setattr(samples, "of", lambda ticket, run, place: unknown)
    with pytest.raises(UsageError, match="--format=onnx_int8: it is calibrated on training images alone, and those"):
        formats.export(f"{run_folder}/ticket", ["onnx_int8"], CONFIG, str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_without_the_extra_one_line_names_it(run_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = (
        r"--format=onnx: it needs onnx and onnxruntime \(.*\): pip install 'onnx.*' 'onnxruntime.*'; leave onnx out"
    )
    with pytest.raises(UsageError, match=message) as caught:
        formats.export(f"{run_folder}/ticket", ["onnx"], CONFIG, str(tmp_path / "out"))
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_without_litert_one_line_names_it(run_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    message = r"--format=tflite: it is compared by ai-edge-litert, .*: pip install ai-edge-litert; leave tflite out"
    with pytest.raises(UsageError, match=message) as caught:
        formats.export(f"{run_folder}/ticket", ["tflite"], CONFIG, str(tmp_path / "out"))
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_rows_are_kept_beside_the_ticket_and_reported(run_folder, tmp_path, monkeypatch):
    run = pathlib.Path(shutil.copytree(run_folder, tmp_path / "runs" / "some" / "seed_0"))
    rows, out = run / "ticket.exports.csv", str(tmp_path / "out")
    rows.unlink(missing_ok=True)  # of earlier tests
    formats.export(str(run), ["runtime"], CONFIG, out)
    first = storage.read_csv(str(rows))
    formats.export(str(run), ["onnx"], CONFIG, out)
    assert [row["format"] for row in storage.read_csv(str(rows))] == ["runtime", "onnx"]
    assert storage.read_csv(str(rows))[0] == first[0]
    size = (tmp_path / "out" / "ticket.onnx").stat().st_size
    assert (row := storage.read_csv(str(rows))[1])["bytes"] == str(size) and row["images"] == "100"

    report = tt.report(str(run), out=str(tmp_path / "report"))
    assert "Exported files" in report.text and f"{size:,}" in report.text
    assert f"{size:,}" in (tmp_path / "report" / "report.html").read_text()
    assert [row["format"] for row in storage.read_csv(str(tmp_path / "report" / "exports.csv"))] == ["runtime", "onnx"]

    # Of another ticket than the one that stands there now.
    rows.write_text(rows.read_text().replace(first[0]["ticket"], "0" * 64))
    assert "Exported files" not in tt.report(str(run), out=str(tmp_path / "report")).text
    assert not (tmp_path / "report" / "exports.csv").exists()
    formats.export(str(run), ["runtime"], CONFIG, out)
    assert [row["format"] for row in storage.read_csv(str(rows))] == ["runtime"]

    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(storage, "check_writable", lambda folder: None)
    text = formats.export(str(run), ["onnx"], CONFIG, out)
    assert text.endswith(f"the table is not kept: {run} cannot be written")
    assert [row["format"] for row in storage.read_csv(str(rows))] == ["runtime"]
    monkeypatch.undo()

    rows.write_text(rows.read_text().replace(f",{backend.threads()},100", ",two,100"))
    report = tt.report(str(run), out=str(tmp_path / "report"))
    assert any("ticket.exports.csv is left out of the page: ValueError: row 1: threads is 'two'" in line
               for line in report.problems)  # fmt: skip

    rows.write_bytes(b"ticket,format\n\xff")
    with pytest.raises(StateError, match="ticket.exports.csv cannot be read: delete it"):
        formats.export(str(run), ["onnx"], CONFIG, str(tmp_path / "more"))
    assert not (tmp_path / "more").exists()
