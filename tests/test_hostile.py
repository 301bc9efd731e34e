"""Files made to do harm, given to every command that reads: nothing runs, nothing is written outside, little memory.

Documents of tickets that were made up, with their hashes made anew, have test_predict.py.
"""

import gzip
import io
import os
import resource
import shutil
import tarfile
import warnings
import zipfile

import h5py
import numpy as np
import pytest
import torch_files
from absl import flags
from conftest import QUICK
from PIL import Image
from trees import tree

import tf_tickets as tt
from tf_tickets import errors, main, notices, stopping, storage
from tf_tickets.backend import keras
from tf_tickets.data import archives
from tf_tickets.runtime import files
from tf_tickets.settings import cli

CANARY = "executed"


class Payload:
    """Whoever unpickles it makes a file."""

    def __reduce__(self):
        return os.mkdir, (CANARY,)


def objects(path):
    """An npz whose array is a pickle."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("conv1.weight.npy", "w") as file:
        np.lib.format.write_array(file, np.array([Payload()], dtype=object), allow_pickle=True)


def pickled(path):
    """A pickle under the name of an npz."""
    import pickle

    path.write_bytes(pickle.dumps(Payload()))


def swollen(path, side=10_000):
    """An npz of 400 MB of zeros in half a megabyte; more than the limit in these tests."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (side, side)})
        for _ in range(side // 100):
            file.write(bytes(4 * 100 * side))


def header(path):
    """An npz whose array's header asks for the moon."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.npy", "w") as file:
        shape = (1 << 40, 1 << 20)
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def nested_header(path):
    """An npz whose array's header is a deep expression."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.npy", "w") as file:
        text = b"(" * 60_000
        file.write(b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text)


def evil_network():
    """A network that makes a folder when Keras loads it."""
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Lambda(lambda x: (__import__("os").makedirs("executed", exist_ok=True), x)[1])(inputs)
    return keras.Model(inputs, outputs)


def lambda_h5(path):
    """A whole model with code inside."""
    with warnings.catch_warnings():  # Keras would rather have another format
        warnings.simplefilter("ignore")
        evil_network().save(path, save_format="h5")
    shutil.rmtree(CANARY)


def lambda_saved_model(path):
    """A SavedModel with code inside."""
    evil_network().save(path, save_format="tf")
    shutil.rmtree(CANARY)


def linked_h5(path):
    """Weights that lie in another file."""
    (path.parent / "secret.bin").write_bytes(bytes(range(16)) * 8)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["a"]
        layer = file.create_group("a")
        layer.attrs["weight_names"] = ["kernel:0"]
        layer.create_dataset("kernel:0", (32,), "<f4", external=[(str(path.parent / "secret.bin"), 0, 128)])


def huge_h5(path):
    """Weights of a terabyte, none of it written."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["a"]
        layer = file.create_group("a")
        layer.attrs["weight_names"] = ["kernel:0"]
        layer.create_dataset("kernel:0", (1 << 38,), "<f4", chunks=(1 << 20,))


def safetensors(path):
    """A header of 2^60 bytes."""
    path.write_bytes((1 << 60).to_bytes(8, "little") + b"{}")


def executed_by_torch(path):
    """A pickle of PyTorch's old format that calls a function."""
    content = torch_files.called("os", "mkdir", torch_files.text(CANARY))
    path.write_bytes(torch_files.stream(torch_files.dictionary(a=content)))


def executed_by_torch_zip(path):
    """The same in the zip format."""
    content = torch_files.called("os", "mkdir", torch_files.text(CANARY))
    path.write_bytes(torch_files.archive(torch_files.dictionary(a=content)))


def torch_strides(path):
    """A tensor that reaches a terabyte beyond its storage."""
    path.write_bytes(torch_files.stream(torch_files.dictionary(a=torch_files.tensor(0, (2, 2), (1 << 38, 1)))))


def torch_bomb(path):
    """A storage of 400 MB of zeros in half a megabyte."""
    content = torch_files.dictionary(a=torch_files.tensor(0, (10**8,), (1,), count=10**8))
    path.write_bytes(torch_files.archive(content, {"0": bytes(4 * 10**8)}, packing=zipfile.ZIP_DEFLATED))


def torch_memo(path):
    """A memo of four billion places, for a reader that keeps them in a list."""
    path.write_bytes(torch_files.stream(b"Nr\xff\xff\xff\xff"))


def slip(path):
    """A tar with a member outside, and a link that leads outside."""
    with tarfile.open(path, "w:gz") as archive:
        for name in ("../../executed", "/tmp/executed_by_tar", "cifar-10-batches-bin/../../executed"):
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"evil"))
        link = tarfile.TarInfo("data_batch_1.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)


def zip_slip(path):
    """The same as a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../executed", b"evil")


def gzip_bomb(path):
    """A member that unpacks to 100 MB; more than the limit in these tests."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        for _ in range(100):
            file.write(bytes(1 << 20))
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("train-images-idx3-ubyte.gz")
        member.size = packed.tell()
        archive.addfile(member, io.BytesIO(packed.getvalue()))


def bomb(path):
    """A picture of 400 million pixels in a few kilobytes."""
    Image.new("1", (20_000, 20_000)).save(path)


def device(path):
    """A flagfile that goes on in a device."""
    path.write_text("--flagfile=/dev/zero\n")


def tagged(path):
    """YAML, to a reader that would build what it names."""
    path.write_text("!!python/object/apply:os.mkdir [executed]\n")


ROUND = "run/round_00"
# what makes the file, its name, the command, the exit status, what is taken away before (None: nothing)
CASES = [
    (objects, "evil.npz", ["--pretrained=evil.npz"], 2),
    (pickled, "evil.npz", ["--pretrained=evil.npz"], 2),
    (swollen, "evil.npz", ["--pretrained=evil.npz"], 2),
    (header, "evil.npz", ["--pretrained=evil.npz"], 2),
    (nested_header, "evil.npz", ["--pretrained=evil.npz"], 2),
    (lambda_h5, "evil.h5", ["--pretrained=evil.h5"], 2),
    (linked_h5, "evil.h5", ["--pretrained=evil.h5"], 2),
    (huge_h5, "evil.h5", ["--pretrained=evil.h5"], 2),
    (safetensors, "evil.safetensors", ["--pretrained=evil.safetensors"], 2),
    (executed_by_torch, "evil.pth", ["--pretrained=evil.pth"], 2),
    (executed_by_torch_zip, "evil.pt", ["--pretrained=evil.pt"], 2),
    (torch_strides, "evil.pth", ["--pretrained=evil.pth"], 2),
    (torch_bomb, "evil.pth", ["--pretrained=evil.pth"], 2),
    (torch_memo, "evil.pth", ["--pretrained=evil.pth"], 2),
    (pickled, "evil.pth", ["--pretrained=evil.pth"], 2),
    (lambda_saved_model, "evil", ["train", "--ticket=evil"], 2),
    (lambda_saved_model, "evil", ["predict", "evil", "a.png"], 2),
    (lambda_saved_model, "evil", ["evaluate", "evil"], 2),
    (lambda_saved_model, "evil", ["export", "evil"], 2),
    (objects, f"{ROUND}/weights.npz", ["evaluate", "run", "--which=all"], 3),
    (objects, f"{ROUND}/mask.npz", ["train", f"--ticket={ROUND}"], 3),
    (objects, "run/ticket/ticket.npz", ["predict", "run/ticket", "a.png"], 3),
    (swollen, "run/ticket/ticket.npz", ["verify", "run/ticket"], 3),
    (slip, "evil.tgz", ["prepare", "cifar10", "--archive=evil.tgz", "--data_dir=data"], 2),
    (zip_slip, "evil.zip", ["prepare", "cifar10", "--archive=evil.zip", "--data_dir=data"], 2),
    (gzip_bomb, "evil.tar", ["prepare", "mnist", "--archive=evil.tar", "--data_dir=data"], 2),
    (bomb, "evil.png", ["predict", "run/ticket", "evil.png"], 2),
    (bomb, "pictures/a/evil.png", ["--dataset=folder", "--data_dir=pictures"], 2),
    (device, "evil.cfg", ["--flagfile=evil.cfg"], 2),
    (tagged, "evil.cfg", ["--flagfile=evil.cfg"], 2),
    (tagged, "evil.sweep", ["sweep", "--sweep=evil.sweep"], 2),
    (tagged, "ids.txt", ["--dataset=digits", "--subset_file=ids.txt"], 2),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run of digits."""
    return tt.imp(tt.Config.from_values(**QUICK | {"rounds": 1}, out=str(tmp_path_factory.mktemp("hostile")))).folder


@pytest.mark.parametrize("case", CASES, ids=[f"{make.__name__} {' '.join(words)}" for make, _, words, _ in CASES])
def test_nothing_is_executed_or_written(made, tmp_path, case, monkeypatch, capfd):
    make, name, words, wanted = case
    inside = tmp_path / "inside" / "deeper"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    shutil.copytree(made, "run")
    for number in range(2):
        (inside / "pictures" / "a").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (number, 0, 0)).save(inside / "pictures" / "a" / f"{number}.png")
    Image.new("L", (8, 8)).save("a.png")
    if (inside / name).is_file():
        (inside / name).unlink()
    make(inside / name)
    before = tree(tmp_path)
    for function in ("leave_at_once", "ignore"):  # signals are this process's own
        monkeypatch.setattr(stopping, function, lambda: None)
    monkeypatch.setattr(files, "MOST_BYTES", 1 << 28)
    monkeypatch.setattr(archives, "LARGEST_MEMBER", 1 << 26)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    capfd.readouterr()
    try:
        status = main._run(cli.parse(["tf-tickets", *words], flags.FlagValues()))
    except errors.TicketError as error:
        status = error.exit_status
        notices.say(errors.plain(error))
    out, err = capfd.readouterr()
    assert status == wanted, err
    assert out == "" and err.count("\n") == 1 and err.startswith("tf-tickets: "), err
    assert tree(tmp_path) == before and not os.path.exists("/tmp/executed_by_tar")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 1_000_000  # kilobytes


def test_the_payloads_would_have_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    objects(tmp_path / "a.npz")
    with np.load("a.npz", allow_pickle=True) as archive:
        assert archive["conv1.weight"][0] is None
    assert os.path.isdir(CANARY)
    os.rmdir(CANARY)
    lambda_h5(tmp_path / "a.h5")
    keras.models.load_model("a.h5")
    assert os.path.isdir(CANARY)


def test_a_deep_document_is_refused(made, tmp_path):
    shutil.copytree(made, tmp_path / "run")
    path = tmp_path / "run" / "round_00" / "summary.json"
    path.write_text("[" * 100_000)
    with pytest.raises(errors.StateError, match=r"summary\.json"):
        storage.read_json(str(path))
