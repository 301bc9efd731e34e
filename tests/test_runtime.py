"""A ticket's folder is served without this program, and nothing hostile in it is loaded."""

import dataclasses
import json
import os
import shutil
import struct
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
from conftest import QUICK, ROOT

import tf_tickets as tt
from tf_tickets import runtime, storage
from tf_tickets.backend import tf
from tf_tickets.data import sources
from tf_tickets.errors import StateError
from tf_tickets.export.ticket import Ticket, canonical
from tf_tickets.runtime import files, program


@pytest.fixture(scope="module")
def ticket_folder(tmp_path_factory):
    """The ticket of a finished run on digits; treat as read-only."""
    return tt.imp(tt.Config.from_values(**QUICK, out=str(tmp_path_factory.mktemp("runs")))).folder + "/ticket"


ALONE = """
import json, sys
import numpy as np
from tf_tickets import runtime
network = runtime.load(sys.argv[1])
images = np.load(sys.argv[2])
found = {"probabilities": network.predict(images).tolist(), "labels": network.labels}
roots = {name.partition(".")[0] for name in sys.modules}
found["foreign"] = sorted(roots & {"tensorflow", "tf_keras", "keras", "pandas", "PIL", "absl", "sklearn", "h5py"})
found["ours"] = sorted(name for name in sys.modules if name.startswith("tf_tickets."))
json.dump(found, sys.stdout)
"""


def test_a_ticket_is_served_by_numpy_and_scipy_alone(ticket_folder, tmp_path):
    images, _ = sources.load("digits").test()
    np.save(tmp_path / "images.npy", images)
    words = [sys.executable, "-c", ALONE, ticket_folder, str(tmp_path / "images.npy")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
    found = json.loads(done.stdout)
    assert found["foreign"] == [] and all(name.startswith("tf_tickets.runtime") for name in found["ours"])
    ticket = Ticket.load(ticket_folder)
    np.testing.assert_allclose(found["probabilities"], ticket.predict(images), atol=1e-5)
    assert tuple(found["labels"]) == ticket.labels


PLAIN = """
import json, sys
import numpy as np
import tensorflow as tf
document = json.load(open(sys.argv[1] + "/ticket.json"))
tf.config.threading.set_intra_op_parallelism_threads(document["versions"]["intra_op_threads"])
tf.config.threading.set_inter_op_parallelism_threads(document["versions"]["inter_op_threads"])
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
images, labels = (np.load(path) for path in sys.argv[2:])
size = document["batch_size"]
logits = [serve(images=tf.constant(images[i : i + size]))["logits"].numpy() for i in range(0, len(images), size)]
accuracy = float((np.concatenate(logits).argmax(axis=1) == labels).mean())
assert not [name for name in sys.modules if name.startswith(("tf_tickets", "tf_keras"))]
print(json.dumps([accuracy, document["metrics"]["test_accuracy"], document["test_images"]]))
"""


def test_plain_tensorflow_reproduces_the_recorded_accuracy(ticket_folder, tmp_path):
    images, labels = sources.load("digits").test()
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    words = [sys.executable, "-c", PLAIN, ticket_folder, str(tmp_path / "images.npy"), str(tmp_path / "labels.npy")]
    plain = {name: value for name, value in os.environ.items() if name not in ("TF_USE_LEGACY_KERAS", "PYTHONPATH")}
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True, env=plain)
    measured, recorded, count = json.loads(done.stdout)
    assert measured == recorded and count == len(images)


@pytest.mark.parametrize("rows", [1, 3])
def test_the_signature_answers_tensorflow_serving_s_rest_request(ticket_folder, rows):
    """That of docs/tickets_on_devices.md, {"instances": [image, ...]}: each named output with one row an instance."""
    images = sources.load("digits").test()[0][:rows]
    request = json.loads(json.dumps({"signature_name": "serving_default", "instances": images.tolist()}))
    serve = tf.saved_model.load(ticket_folder).signatures[request["signature_name"]]
    (spec,) = serve.structured_input_signature[1].values()
    found = serve(**{spec.name: tf.constant(request["instances"], spec.dtype)})
    predictions = [{name: value.numpy().tolist()[row] for name, value in found.items()} for row in range(rows)]
    expected = Ticket.load(ticket_folder).predict(images)
    np.testing.assert_allclose([one["probabilities"] for one in predictions], expected, atol=1e-5)


def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "ticket")


def test_every_flipped_byte_is_noticed(ticket_folder, tmp_path):
    folder = copied(ticket_folder, tmp_path)
    for name in ("ticket.json", "ticket.npz"):
        whole = (folder / name).read_bytes()
        for place in np.linspace(0, len(whole) - 1, 9).astype(int):
            (folder / name).write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
            with pytest.raises(runtime.Damaged) as caught:
                runtime.load(str(folder))
            assert "\n" not in str(caught.value)
        (folder / name).write_bytes(whole)
    runtime.load(str(folder))


def rewritten(folder, change):
    """Changes the document and makes its hash anew, as someone with intent would."""
    document = storage.read_json(str(folder / "ticket.json"))
    change(document)
    document.pop("self_sha256")
    document["self_sha256"] = files.hashlib.sha256(canonical(document)).hexdigest()
    (folder / "ticket.json").write_bytes(storage.json_bytes(document))


def rescaled(document, scale, offset):
    return {"name": "x", "operation": "rescale", "inputs": [document["program"][-1]["name"]], "scale": scale,
            "offset": offset}  # fmt: skip


HOSTILE = {
    "no program": lambda d: d.update(program=None),
    "an operation that is none": lambda d: d["program"][2].update(operation="eval"),
    "a value of later": lambda d: d["program"][1].update(inputs=[d["program"][5]["name"]]),
    "a name twice": lambda d: d["program"][3].update(name=d["program"][1]["name"]),
    "a huge kernel": lambda d: d["program"][1].update(shape=[1 << 15, 1 << 15, 3, 3]),
    "a kernel of another shape": lambda d: d["program"][1]["shape"].reverse(),
    "a stride of nothing": lambda d: d["program"][1].update(stride=0),
    "a mask of another shape": lambda d: d["layers"][0].update(shape=[5, 5]),
    "a text for a number": lambda d: d["program"][1].update(padding="1"),
    "no labels": lambda d: d["data"].pop("labels"),
    "a label too many": lambda d: d["data"]["labels"].append("more"),
    "images of no size": lambda d: d["data"].update(image_shape=[0, 8, 1]),
    "a program of nothing": lambda d: d.update(program=[]),
    "a program that is text": lambda d: d.update(program="import os"),
    "an operation that is a list": lambda d: d["program"][2].update(operation=[]),
    "a padding beyond all": lambda d: d["program"][1].update(padding=60000),
    "a mean after the head": lambda d: d["program"].append(
        {"name": "x", "operation": "mean", "inputs": [d["program"][-1]["name"]]}
    ),
    "a density beyond all": lambda d: d.update(density=10**400),
    "a mean too many": lambda d: d["data"].update(mean=[0.5, 0.5]),
    "a deviation of nothing": lambda d: d["data"].update(deviation=[0.0]),
    "an epsilon below 0": lambda d: d["program"][2].update(epsilon=-1.0),
    "a factor that is text": lambda d: d["program"].append(rescaled(d, ["2"], [0.0])),
    "a factor that float32 does not hold": lambda d: d["program"].append(rescaled(d, [1e39], [0.0])),
    "no factor": lambda d: d["program"].append(rescaled(d, [], [])),
    "factors for other channels": lambda d: d["program"].append(rescaled(d, [1.0] * 3, [0.0] * 3)),
    "fewer shifts than factors": lambda d: d["program"].append(rescaled(d, [1.0] * 10, [0.0])),
    "two inputs": lambda d: d["program"].append({"name": "x", "operation": "input", "inputs": []}),
}  # fmt: skip


@pytest.mark.parametrize("attack", HOSTILE)
def test_documents_that_were_made_up_are_refused(ticket_folder, tmp_path, attack):
    folder = copied(ticket_folder, tmp_path)
    rewritten(folder, HOSTILE[attack])
    with pytest.raises(runtime.Damaged) as caught:
        runtime.load(str(folder))
    assert "\n" not in str(caught.value)


def test_nothing_is_unpickled_and_no_bomb_unpacked(ticket_folder, tmp_path, monkeypatch):
    folder = copied(ticket_folder, tmp_path)

    def with_arrays(**changes):
        arrays = storage.read_arrays(f"{ticket_folder}/ticket.npz") | changes
        np.savez(folder / "ticket.npz", **arrays)
        rewritten(folder, lambda d: d["files"].update({"ticket.npz": files.digest(str(folder / "ticket.npz"))}))

    bias = "trained_variables/linear/bias"
    nan = np.full(10, np.nan, np.float32)
    for array in (np.array([{}] * 10, object), np.zeros(10, np.float64), np.zeros(9, np.float32), nan):
        with_arrays(**{bias: array})
        with pytest.raises(runtime.Damaged, match="linear"):
            runtime.load(str(folder))
    for header in ("(10000000000000,)", f"({10**30},)"):
        with_arrays()
        with zipfile.ZipFile(folder / "ticket.npz", "a") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the name is there twice; the last one counts
            text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {header}, }}".ljust(117) + "\n"
            archive.writestr(f"{bias}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode())
        rewritten(folder, lambda d: d["files"].update({"ticket.npz": files.digest(str(folder / "ticket.npz"))}))
        with pytest.raises(runtime.Damaged, match="linear/bias"):
            runtime.load(str(folder))
    with_arrays()
    monkeypatch.setattr(files, "MOST_BYTES", 1000)
    with pytest.raises(runtime.Damaged, match="unpack to"):
        runtime.load(str(folder))
    with pytest.raises(runtime.NotATicket):
        runtime.load(str(tmp_path))
    with pytest.raises(runtime.NotATicket):
        runtime.load(__file__)


def test_images_of_another_kind_are_refused(ticket_folder):
    network = runtime.load(ticket_folder)
    for images in (np.zeros((1, 8, 8, 1)), np.zeros((8, 8, 1), np.uint8), np.zeros((1, 8, 9, 1), np.uint8)):
        with pytest.raises(ValueError, match=r"this ticket takes uint8\[n, 8, 8, 1\]"):
            network.predict(images)


def test_weights_that_are_too_large_give_no_answer(ticket_folder, tmp_path):
    """They are finite numbers, and fit the network; what comes out of it is none."""
    ticket = Ticket.load(ticket_folder)
    shifts = {n: np.full_like(array, 3e38) for n, array in ticket.trained.items() if n.endswith("/beta")}
    large = dataclasses.replace(ticket, trained=ticket.trained | shifts)
    images = np.zeros((1, 8, 8, 1), np.uint8)
    with pytest.raises(StateError, match="gives no finite numbers"):
        large.predict(images)
    large.save(str(tmp_path / "ticket"))
    with pytest.raises(runtime.Damaged, match="gives no finite numbers"), np.errstate(all="ignore"):
        runtime.load(str(tmp_path / "ticket")).predict(images)


def test_the_largest_kernels_and_sides_are_bounded():
    assert program._in_range("shape", [3, 3, 512, 512]) and not program._in_range("shape", [3, 3, True, 4])
    assert not program._in_range("stride", 1 << 20) and not program._in_range("epsilon", float("nan"))
