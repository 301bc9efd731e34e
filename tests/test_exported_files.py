"""Files of `export`, used again: each names its ticket, `predict` and `verify` read them, and other files stay."""

import json
import os
import pathlib
import shutil
import sys
import time
import zipfile

import command_server
import numpy as np
import onnx
import pytest
from conftest import QUICK, ROOT
from PIL import Image

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.data import sources
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export import after_export, exported_files, formats, measuring, predict
from tf_tickets.export.ticket import Ticket
from tf_tickets.report import next_formats
from tf_tickets.settings import config

CONFIG = tt.Config.from_values(dataset="digits")
FORMATS = ["runtime", "tflite", "onnx", "c"]
FILES = ["runtime.npz", "ticket.tflite", "ticket.onnx", "c/ticket.c", "c/ticket.h"]
NETWORKS = FILES[:3]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run on digits, with the files of its ticket beside it; treat as read-only."""
    settings = QUICK | {"images": 100, "width": 4, "epochs": 2, "rounds": 2, "rate": 0.6}
    folder = tt.imp(tt.Config.from_values(**settings, out=str(tmp_path_factory.mktemp("runs")))).folder
    formats.export(f"{folder}/ticket", FORMATS, CONFIG)
    return folder


@pytest.fixture
def copied(run_folder, tmp_path):
    """A copy of the run, to be changed."""
    return pathlib.Path(shutil.copytree(run_folder, tmp_path / "run"))


def command(*words):
    done = command_server.loaded().run(ROOT, words)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_user_s_stays(run_folder, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(UsageError, match=f"{name} is there and was not written by export; .* another --out"):
        formats.export(f"{run_folder}/ticket", FORMATS, CONFIG, str(tmp_path))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_bytes() == b"mine"


def test_networks_and_archives_of_the_user_s_stay(tmp_path):
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "ab"]
    onnx.save(
        onnx.helper.make_model(onnx.helper.make_graph([node], "mine", *[[v] for v in values])), tmp_path / "a.onnx"
    )
    np.savez(tmp_path / "runtime.npz", program=np.zeros(3, np.uint8), a=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "a.tflite", "w") as archive:
        archive.writestr("labels.txt", "a\nb\n")
    (tmp_path / "a.c").write_text("/* Ticket to ride. */")
    (tmp_path / "link.onnx").symlink_to("nothing")
    for path in tmp_path.iterdir():
        with pytest.raises(UsageError, match="was not written by export"):
            exported_files.check_replaceable(str(path))
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(UsageError, match="is a folder, not a regular file"):
        exported_files.check_replaceable(str(tmp_path / "folder.onnx"))
    exported_files.check_replaceable(str(tmp_path / "nothing.onnx"))


def test_what_export_wrote_is_replaced(copied):
    (copied / "ticket.export" / "notes.txt").write_text("mine")
    before = {name: (copied / "ticket.export" / name).read_bytes() for name in FILES}
    formats.export(f"{copied}/ticket", FORMATS, CONFIG)
    assert {name: (copied / "ticket.export" / name).read_bytes() for name in FILES} == before
    assert (copied / "ticket.export" / "notes.txt").read_text() == "mine"


def test_every_file_names_its_ticket(run_folder):
    digest = Ticket.load(f"{run_folder}/ticket").content_digest
    for name in FILES:
        assert exported_files.ticket_digest(f"{run_folder}/ticket.export/{name}") == digest
    with zipfile.ZipFile(f"{run_folder}/ticket.export/ticket.tflite") as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(map(str, range(10)))


@pytest.mark.parametrize("name", NETWORKS)
def test_files_predict_what_their_ticket_does(run_folder, tmp_path, name):
    images = sources.load("digits").test()[0][:5]
    path, folder = f"{run_folder}/ticket.export/{name}", tmp_path / "pictures"
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / f"{index}.png")
    Image.fromarray(images[0, ..., 0]).resize((40, 30)).save(folder / "large.png")
    found, wanted = (
        json.loads(predict.predict(of, [str(folder)], config.Command(format="json", top_k=10))[0])
        for of in (path, f"{run_folder}/ticket")
    )
    for row, expected in zip(found, wanted, strict=True):
        assert row["file"] == expected["file"]
        values = [{part["label"]: part["probability"] for part in entry["predictions"]} for entry in (row, expected)]
        assert values[0] == pytest.approx(values[1], abs=1e-4)
    np.testing.assert_allclose(tt.predict(path, images), Ticket.load(f"{run_folder}/ticket").predict(images), atol=1e-4)


def test_predict_says_what_to_do_with_what_it_does_not_read(run_folder, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"x")
    for path, words in (
        (f"{run_folder}/ticket.export/c/ticket.c", "ticket.c is C: compile it"),
        (tmp_path / "a.onnx", "a.onnx is no ticket and no file that export wrote"),
        (f"{run_folder}/config.cfg", "config.cfg is no ticket and no file that export wrote"),
    ):
        status, out, error = command("predict", path, run_folder)
        assert (status, out, error.count("\n")) == (2, "", 1) and words in error


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_that_is_damaged_is_one_line(copied, name):
    path = copied / "ticket.export" / name
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 4, len(data) // 2):
        data[place] = 0x5A
    path.write_bytes(bytes(data))
    with pytest.raises((UsageError, StateError), match=name) as caught:
        exported_files.load(str(path))
        pytest.skip("its numbers alone were changed")
    assert "\n" not in str(caught.value)


def test_without_onnx_one_line_names_the_extra(run_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for function in (exported_files.load, exported_files.verify):
        with pytest.raises(UsageError, match=r"ticket.onnx: .*pip install 'onnx.*' 'onnxruntime.*'"):
            function(f"{run_folder}/ticket.export/ticket.onnx")


def test_verify_compares_a_file_with_the_ticket_beside_it(run_folder, copied, tmp_path):
    status, out, error = command("verify", *(f"{run_folder}/ticket.export/{name}" for name in FILES))
    digest = Ticket.load(f"{run_folder}/ticket").content_digest[:16]
    assert (status, error, len(out.splitlines())) == (0, "", len(FILES))
    assert all(f": of ticket {digest}, which is {run_folder}/ticket; " in line for line in out.splitlines())
    for name in FILES:
        lone = shutil.copy(copied / "ticket.export" / name, tmp_path)
        with pytest.raises(UsageError, match="is of ticket .*, which is not beside it: verify TICKET"):
            exported_files.verify(lone)
    assert exported_files.verify(f"{tmp_path}/ticket.onnx", [f"{run_folder}/ticket"])
    shutil.rmtree(copied / "ticket")
    shutil.copytree(copied / "round_00", copied / "ticket")
    for name in FILES:
        with pytest.raises((StateError, UsageError)):
            exported_files.verify(str(copied / "ticket.export" / name))


def test_verify_refuses_a_file_of_another_ticket(run_folder, tmp_path):
    formats.export(f"{run_folder}/round_00", ["runtime", "c"], CONFIG, str(tmp_path))
    for name in ("runtime.npz", "c/ticket.c"):
        assert "round_00; " in exported_files.verify(str(tmp_path / name), [f"{run_folder}/round_00"])
        with pytest.raises(StateError, match="is of ticket .*, and .*/ticket is ticket .*: export it again"):
            exported_files.verify(str(tmp_path / name), [f"{run_folder}/ticket"])
    shutil.copy(f"{run_folder}/ticket.export/c/ticket.h", tmp_path / "c")
    with pytest.raises(StateError, match="ticket.c needs ticket.h of the same ticket beside it"):
        exported_files.verify(str(tmp_path / "c" / "ticket.c"), [f"{run_folder}/round_00"])


def test_what_a_killed_export_left_is_removed_by_the_next(run_folder, tmp_path, monkeypatch):
    place, out = tmp_path / "temporary", tmp_path / "out"
    place.mkdir()
    words = [f"{run_folder}/ticket", "--format=runtime,c", f"--out={out}"]
    script = (
        "import os, signal, sys\nfrom tf_tickets.export import formats\n"
        "formats._place = lambda made, path: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"from tf_tickets import main\nfrom tf_tickets.settings import cli\nfrom absl import flags\n"
        f"main.main(cli.parse(['tf-tickets', 'export', *{words!r}], flags.FlagValues()))\n"
    )
    environment = os.environ | {"TMPDIR": str(place)}
    done = command_server.loaded().run(ROOT, [], code=script, environment=environment)
    (left,) = (entry for entry in place.iterdir() if entry.name.startswith("tf-tickets"))
    assert done.returncode == -9 and (left / "runtime.npz").exists()
    (out / "c").mkdir(parents=True)
    half = pathlib.Path(storage.temporary_name(str(out / "c" / "ticket.c")))
    half.write_text("half")
    (place / "tf-tickets.mine").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    formats.export(words[0], ["c"], CONFIG, str(out))
    assert left.exists() and half.exists()  # which may be another process's that goes on
    long_ago = time.time() - 7200
    for path in (left, half):
        os.utime(path, (long_ago, long_ago))
    formats.export(words[0], ["c"], CONFIG, str(out))
    assert [entry.name for entry in place.iterdir() if entry.name.startswith("tf-tickets")] == ["tf-tickets.mine"]
    assert sorted(os.listdir(out / "c")) == ["ticket.c", "ticket.h"]


def row(**changes):
    """A row of runs.EXPORT_COLUMNS."""
    values = ("abc", "c", "c/", 100, 50, 1e-6, 1.0, 2.0, 1.0, 1, 100, "test images")
    return dict(zip(runs.EXPORT_COLUMNS, values, strict=True)) | changes


def stored(values):
    """A row as it is read from the file."""
    return {name: "" if value is None else str(value) for name, value in values.items()}


def test_of_two_exports_of_a_file_the_better_numbers_stay():
    noise = row(difference=2e-6, compared_on="images of noise, since cifar10 is not prepared", ms_batch_1=3.0)
    assert measuring.better(None, noise) == noise
    kept = measuring.better(stored(row()), noise)
    assert (float(kept["difference"]), kept["compared_on"]) == (1e-6, "test images")
    assert (kept["ms_batch_1"], kept["ms_batch_100"]) == (2.0, 1.0)
    assert measuring.better(stored(noise), row()) == row()
    assert measuring.better(stored(row(ms_batch_100=9.0)), row(ms_batch_1=2.5)) == row()
    # Of another file, or on more threads, everything is new.
    for changes in ({"bytes": 101}, {"bytes_gzipped": 51}, {"threads": 2}):
        assert measuring.better(stored(row()), noise | changes) == noise | changes
    uncompared = row(**measuring.UNMEASURED)
    assert stored(measuring.better(stored(row()), uncompared)) == stored(row())
    assert measuring.better(stored(uncompared), row()) == row()
    for odd in ("", "x", "nan", "-1", "0"):
        assert measuring.better(stored(row()) | {"ms_batch_1": odd}, row()) == row()


def test_a_later_export_says_what_it_keeps_of_an_earlier_one(copied):
    path = f"{copied}/ticket.exports.csv"
    rows = storage.read_csv(path)
    storage.write_csv(path, [entry | {"ms_batch_1": "0.0000001"} for entry in rows], runs.EXPORT_COLUMNS)
    text = formats.export(f"{copied}/ticket", ["runtime"], CONFIG)
    assert text.endswith(f"{path} keeps better numbers that an earlier export measured of the same files: runtime")
    kept = {entry["format"]: entry["ms_batch_1"] for entry in storage.read_csv(path)}
    assert kept == dict.fromkeys(FORMATS, "0.0000001") | {"runtime": "1e-07"}


def test_the_lines_after_an_export_name_what_lies_there(run_folder, monkeypatch):
    monkeypatch.chdir(os.path.dirname(run_folder))
    run = os.path.basename(run_folder)
    first, second, third, fourth = after_export.lines(FORMATS, run_folder)
    assert first == f"next: python -m tf_tickets.main predict {run}/ticket.export/runtime.npz PICTURE.png"
    assert second == f"      python -m tf_tickets.main verify {run}/ticket {run}/ticket.export/runtime.npz"
    assert f"-DTICKET_MAIN {run}/ticket.export/c/ticket.c" in third
    assert fourth.startswith(f"      {run}/ticket.export/c/ticket images.raw  # pixels")
    assert after_export.lines(["tflite_int8"], run_folder) == []
    assert run_folder.startswith("/") and exported_files.verify(second.split()[-1], [second.split()[-2]])


def test_a_run_s_last_line_names_the_formats_of_its_network(monkeypatch):
    assert next_formats.of({"program": {}, "weights_left": 10}) == FORMATS == next_formats.of({})
    assert next_formats.of({"program": {}, "weights_left": 5_000_000}) == FORMATS[:3]
    assert next_formats.of({"members": [{"program": {}, "weights_left": 3_000_000}] * 2}) == FORMATS[:3]
    for document in ({"program": None}, {"members": [{"program": None}]}):
        assert next_formats.of(document) == ["tflite"]
    monkeypatch.setattr(next_formats, "find_spec", lambda name: None)
    assert (next_formats.of({}), next_formats.of({"program": None})) == (["runtime", "c"], ["ticket"])
