"""`export`: every file predicts what the ticket does, says its true size, and nothing else is written."""

import contextlib
import dataclasses
import gzip
import io
import os
import pathlib
import shutil
import tempfile
import zipfile

import numpy as np
import pytest
from absl import flags
from ai_edge_litert import interpreter
from conftest import QUICK

import tf_tickets as tt
from tf_tickets import backend, main, runs, runtime, storage
from tf_tickets.data import sources
from tf_tickets.errors import StateError, UsageError
from tf_tickets.export import file_kinds, formats, measuring, samples, saved_model, tflite
from tf_tickets.export.ticket import Ticket, data_of, ids_digest, settings_of
from tf_tickets.export.verify import verify
from tf_tickets.models import architecture, builder, state
from tf_tickets.pruning.masks import masked_state
from tf_tickets.registry import DATASETS
from tf_tickets.settings import checks, cli
from tf_tickets.settings.places import Place

CONFIG = tt.Config.from_values(dataset="digits")
FILES = [
    "c", "c_int8", "runtime.npz", "ticket", "ticket.onnx", "ticket.tflite", "ticket_float16.tflite",
    "ticket_int8.onnx", "ticket_int8.tflite",
]  # fmt: skip


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished run on digits; treat as read-only."""
    # More images than elsewhere: logits that lie apart, so that equal labels mean something.
    settings = QUICK | {"images": 300, "width": 4, "epochs": 8, "rounds": 2, "rate": 0.6}
    return tt.imp(tt.Config.from_values(**settings, out=str(tmp_path_factory.mktemp("runs")))).folder


@dataclasses.dataclass(frozen=True)
class Exported:
    folder: pathlib.Path
    text: str
    errors: str
    progress: str


@pytest.fixture(scope="module")
def exported(run_folder, tmp_path_factory):
    """Every format of its ticket, by the command."""
    folder, text, progress = tmp_path_factory.mktemp("exported"), io.StringIO(), io.StringIO()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file, contextlib.redirect_stdout(text), contextlib.redirect_stderr(progress):
        os.dup2(file.fileno(), 2)  # C++ writes there too
        try:
            status = main.main(cli.parse(["tf-tickets", "export", run_folder, f"--out={folder}"], flags.FlagValues()))
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        assert status == 0
        return Exported(folder, text.getvalue().removesuffix("\n"), file.read().decode(), progress.getvalue())


@pytest.fixture(scope="module")
def digits():
    """Test images and labels."""
    return sources.load("digits").test()


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """Writes a ticket of a network that was not trained, without its SavedModel; returns the folder."""

    def save(model, dataset, shape, **changes):
        network = {"name": model, "classes": 10, "image_shape": shape, "stem": "small", "head": "linear", "kappa": 16.0}
        network["width"] = 64 if model == "vit_small" else 2
        built = builder.build(**network, seed=1)
        kept = state.get_state(built)
        described = architecture.describe(**{"model" if k == "name" else k: v for k, v in network.items()})
        draw = np.random.default_rng(0)
        masks = {kernel.name: draw.random(kernel.shape) < 0.5 for kernel in described.prunable()}
        kept = masked_state(kept, masks)
        facts = dataclasses.replace(DATASETS[dataset].facts, image_shape=shape, **changes)
        config = tt.Config.from_values(dataset=dataset, model=model)
        ticket = Ticket(
            masks,
            kept,
            kept,
            network,
            data=data_of(facts),
            settings=settings_of(config),
            ids_digest=ids_digest([]),
            round=0,
        )
        if model == "vit_small":  # building it takes seconds, and what it computes is not asked
            monkeypatch.setattr(Ticket, "build", lambda ticket: built)
        monkeypatch.setattr(saved_model, "save", lambda ticket, folder: None)
        return ticket.save(str(tmp_path / "bare"))

    return save


def table_of(text):
    """The table as {format: {column: cell}}."""
    table = text.partition("\nnext: ")[0]
    head, *lines = (line for line in table.splitlines() if "  " in line)
    starts = [head.index(name) for name in ("format", "file")]
    found = {}
    for line in lines:
        cells = line[starts[1] :].split()
        names = ("file", "bytes", "gzipped", "difference", "same", "%", "alone", "together", "threads")
        found[line.split()[0]] = dict(zip(names, cells, strict=True))
    return found


def interpreted(path, images):
    """(logits, probabilities) by LiteRT, one image at a time."""
    run = interpreter.Interpreter(str(path)).get_signature_runner()
    assert run.get_input_details()["images"]["dtype"] == np.uint8
    answers = [run(images=image[np.newaxis]) for image in images]
    return tuple(np.concatenate([answer[name] for answer in answers]) for name in ("logits", "probabilities"))


def logits_of(ticket, images):
    facts = DATASETS["digits"].facts
    return ticket.build()(facts.normalise(images.astype(np.float32)), training=False).numpy()


def test_exactly_the_files_of_the_formats_appear(exported):
    assert sorted(os.listdir(exported.folder)) == FILES
    assert list(table_of(exported.text)) == list(checks.EXPORTS) == list(file_kinds.KINDS)
    plain, half, eighth = (
        os.path.getsize(exported.folder / f"ticket{bits}.tflite") for bits in ("", "_float16", "_int8")
    )
    assert 0.45 < half / plain < 0.6 and 0.25 < eighth / plain < 0.4


def test_converter_and_interpreter_are_silent_and_progress_is_told(exported):
    assert exported.errors == ""
    names = [f"export: {name}, {number} of {len(checks.EXPORTS)}" for number, name in enumerate(checks.EXPORTS, 1)]
    lines = ["export: reading the images to compare on", *names]
    assert exported.progress == "".join(f"tf-tickets: {line}\n" for line in lines)


@pytest.mark.parametrize(("name", "most"), [("ticket", 1e-5), ("ticket_float16", 2e-2)])
def test_tflite_predicts_what_the_ticket_does(run_folder, exported, digits, name, most):
    ticket, images = Ticket.load(f"{run_folder}/ticket"), digits[0][:60]
    logits, probabilities = interpreted(exported.folder / f"{name}.tflite", images)
    np.testing.assert_allclose(probabilities, ticket.predict(images), atol=most)
    np.testing.assert_allclose(logits, logits_of(ticket, images), atol=10 * most)
    assert (logits.argmax(1) == ticket.predict(images).argmax(1)).all()


def test_eight_bits_cost_little_accuracy(run_folder, exported, digits):
    images, labels = digits
    expected = Ticket.load(f"{run_folder}/ticket").predict(images)
    logits, probabilities = interpreted(exported.folder / "ticket_int8.tflite", images)
    found, wanted = logits.argmax(1), expected.argmax(1)
    assert abs((found == labels).mean() - (wanted == labels).mean()) <= 0.03
    assert (found == wanted).mean() >= 0.93 and np.abs(probabilities - expected).max() <= 0.25


def test_weights_and_activations_of_eight_bits_are_integers(exported):
    loaded = interpreter.Interpreter(str(exported.folder / "ticket_int8.tflite"))
    kinds = [(detail["dtype"], detail["shape"].size) for detail in loaded.get_tensor_details()]
    # The stored pixels as numbers, logits and probabilities; everything between is int8, biases int32.
    assert sum(kind == np.float32 for kind, _ in kinds) == 3
    assert {kind for kind, _ in kinds} == {np.float32, np.int8, np.int32, np.uint8}


def test_the_table_says_what_is_on_disk_and_what_was_measured(run_folder, exported, digits):
    folder, text = exported.folder, exported.text
    table, ticket = table_of(text), Ticket.load(f"{run_folder}/ticket")
    for name, row in table.items():
        path = folder / row["file"]
        contents = [path.read_bytes()] if path.is_file() else [p.read_bytes() for p in path.rglob("*") if p.is_file()]
        assert int(row["bytes"].replace(",", "")) == sum(map(len, contents)), name
        assert int(row["gzipped"].replace(",", "")) == sum(len(gzip.compress(data, 9)) for data in contents), name
    images = digits[0][np.arange(100) * 6]
    expected = ticket.predict(images)
    for name in ("tflite", "tflite_float16", "tflite_int8"):
        _, found = interpreted(folder / table[name]["file"], images)
        assert float(table[name]["difference"]) == pytest.approx(np.abs(found - expected).max(), rel=0.1, abs=1e-6)
        assert table[name]["same"] == f"{100 * (found.argmax(1) == expected.argmax(1)).mean():.2f}"
    assert table["runtime"]["same"] == "100.00" and float(table["runtime"]["difference"]) < 1e-4
    assert table["ticket"]["same"] == "100.00" and float(table["ticket"]["difference"]) < 1e-5
    assert all(float(row["alone"]) > 0 and float(row["together"]) > 0 for row in table.values())
    assert {row["threads"] for row in table.values()} == {str(backend.threads())}
    assert text.partition("\nnext: ")[0].splitlines()[-3:] == [
        f"in {folder}", "compared on 100 test images",
        "tflite_int8 and onnx_int8 calibrated on 200 training images of the run",
    ]  # fmt: skip


def test_an_exported_ticket_is_the_run_s(run_folder, exported):
    verify(str(exported.folder / "ticket"))
    found, wanted = (storage.read_json(f"{folder}/ticket/ticket.json") for folder in (exported.folder, run_folder))
    for name in ("content_digest", "metrics", "test_images", "program", "density"):
        assert found[name] == wanted[name] is not None


def test_runtime_npz_gives_the_ticket_folder_s_logits(run_folder, exported, digits):
    one, other = runtime.load(str(exported.folder / "runtime.npz")), runtime.load(f"{run_folder}/ticket")
    one.use("dense"), other.use("dense")
    np.testing.assert_array_equal(one.logits(digits[0][:50]), other.logits(digits[0][:50]))
    assert (one.labels, one.density) == (other.labels, other.density)
    names = storage.read_arrays(str(exported.folder / "runtime.npz"))
    assert not [name for name in names if name.startswith("rewound")]


def test_equal_tickets_make_an_equal_runtime_npz(run_folder, exported, tmp_path):
    formats.export(f"{run_folder}/ticket", ["runtime"], CONFIG, str(tmp_path))
    assert (tmp_path / "runtime.npz").read_bytes() == (exported.folder / "runtime.npz").read_bytes()


def test_a_flipped_byte_of_runtime_npz_is_refused(exported, tmp_path):
    data = (exported.folder / "runtime.npz").read_bytes()
    arrays = storage.read_arrays(str(exported.folder / "runtime.npz"))
    path = tmp_path / "runtime.npz"
    with zipfile.ZipFile(exported.folder / "runtime.npz") as archive:
        members = [(member.header_offset + 100, member.compress_size) for member in archive.infolist()]
    for place in [start + size // 2 for start, size in members if size > 400]:
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(runtime.Damaged):
            runtime.load(str(path))
    # The archive's own check sums do not see what is packed anew.
    for name, array in arrays.items():
        changed = array.copy()
        changed.view(np.uint8).reshape(-1)[-1] ^= 1
        storage.write_arrays(str(path), arrays | {name: changed})
        with pytest.raises(runtime.Damaged):
            runtime.load(str(path))


def test_rounds_runs_and_tickets_are_exported_beside_themselves(run_folder, tmp_path):
    run = pathlib.Path(shutil.copytree(run_folder, tmp_path / "run"))
    for folder, beside in (("", "ticket.export"), ("ticket", "ticket.export"), ("round_00", "round_00.export")):
        formats.export(f"{run}/{folder}", ["runtime"], CONFIG)
        made = shutil.move(run / beside, tmp_path / f"made of {folder}")
        assert os.listdir(made) == ["runtime.npz"]
    summary = storage.read_json(str(run / "round_00" / "summary.json"))
    assert runtime.load(f"{made}/runtime.npz").density == summary["density"] == 1.0
    verify(str(run / "ticket"))


def test_what_cannot_be_exported_is_refused_and_nothing_is_written(run_folder, tmp_path):
    run = pathlib.Path(shutil.copytree(run_folder, tmp_path / "run", ignore=shutil.ignore_patterns("ticket", "table*")))
    os.remove(run / "round_01" / "summary.json")
    (tmp_path / "odd").mkdir()
    ticket = f"{run_folder}/ticket"
    cases = [
        (tmp_path / "odd", None, "odd is no run, round or ticket folder; give one"),
        (run / "subset.csv", None, "subset.csv is no run, round or ticket folder; give one"),
        (run, None, "run has no ticket: run its command again"),
        (run / "round_01", None, "round_01 is not complete: run its command again"),
        (ticket, f"{ticket}/more", "lies in the ticket"),
        (ticket, ticket, "lies in the ticket"),
        (f"{run_folder}/round_00", run_folder, "holds a run or the ticket itself"),
        (ticket, str(run / "subset.csv"), "is a file, not a folder"),
    ]
    before = sorted(tmp_path.rglob("*")), sorted(pathlib.Path(run_folder).rglob("*"))
    for path, out, message in cases:
        with pytest.raises(UsageError, match=message) as caught:
            formats.export(str(path), ["runtime"], CONFIG, out)
        assert "\n" not in str(caught.value)
    assert (sorted(tmp_path.rglob("*")), sorted(pathlib.Path(run_folder).rglob("*"))) == before


def test_a_damaged_ticket_is_not_exported(run_folder, tmp_path):
    folder = pathlib.Path(shutil.copytree(f"{run_folder}/ticket", tmp_path / "ticket"))
    (folder / "labels.txt").write_text("a\n")
    with pytest.raises(StateError, match="labels.txt"):
        formats.export(str(folder), ["tflite"], CONFIG)
    assert os.listdir(tmp_path) == ["ticket"]


def test_a_file_that_predicts_something_else_is_not_left(run_folder, tmp_path, monkeypatch):
    ticket = Ticket.load(f"{run_folder}/ticket")

    def made(kind, by):
        def off(images):
            return ticket.predict(images) + np.float32(by)

        monkeypatch.setattr(tflite, "predictor", lambda data, threads: off)
        monkeypatch.setattr(runtime.Network, "predict", lambda self, images: off(images))
        return formats.export(ticket_folder, [kind], CONFIG, str(tmp_path / "out"))

    ticket_folder = f"{run_folder}/ticket"
    monkeypatch.setattr(tflite, "function", lambda ticket: None)
    monkeypatch.setattr(tflite, "convert", lambda network, kind, images: b"converted")
    for kind, by in (("tflite", 2e-3), ("runtime", 2e-3), ("tflite", np.nan), ("tflite_float16", np.nan)):
        with pytest.raises(StateError, match=f"is not written: .* differ from the ticket's by .*; leave {kind} out"):
            made(kind, by)
        assert list(tmp_path.rglob("*")) == []
    for kind, by in (("tflite", 5e-4), ("tflite_float16", 0.1)):
        assert float(table_of(made(kind, by))[kind]["difference"]) == pytest.approx(by, rel=0.05)
    assert sorted(os.listdir(tmp_path / "out")) == ["ticket.tflite", "ticket_float16.tflite"]


def test_a_transformer_has_no_runtime_npz(bare, monkeypatch, tmp_path):
    folder = bare("vit_small", "digits", (8, 8, 1))
    with pytest.raises(UsageError, match="vit_small is no network of the runtime's: .* serves it; leave runtime out"):
        formats.export(folder, ["ticket", "runtime"], CONFIG)
    assert os.listdir(tmp_path) == ["bare"]
    made = []
    monkeypatch.setattr(formats, "_written", lambda job, name, out: made.append(name) or {"format": name})
    monkeypatch.setattr(measuring, "table", lambda rows: "")
    text = formats.export(folder, None, CONFIG)
    assert made == ["ticket", "tflite", "tflite_float16", "tflite_int8"]
    for name in ("runtime", "onnx", "onnx_int8", "c", "c_int8"):
        assert f"\nno {name}: vit_small is no network of the runtime's" in text
        with pytest.raises(UsageError, match=f"--format={name}: vit_small is no network of the runtime's"):
            formats.export(folder, [name], CONFIG)


def test_without_the_data_floats_are_compared_on_noise_and_eight_bits_refused(bare, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))
    folder = bare("vgg11", "cifar10", (8, 8, 3), mean=(0.5,) * 3, deviation=(0.25,) * 3)
    with pytest.raises(UsageError, match="--format=tflite_int8: .* cifar10 is not prepared .--data_dir=DIR"):
        formats.export(folder, ["runtime", "tflite_int8"], CONFIG)
    assert os.listdir(tmp_path) == ["bare"]
    text = formats.export(folder, ["runtime"], CONFIG)
    assert text.endswith("compared on 100 images of noise, since cifar10 is not prepared (--data_dir=DIR)")


def test_pixels_of_sixteen_bits_are_given_as_floats(bare, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))
    folder = bare("vgg11", "eurosat_all", (8, 8, 13), mean=(0.3,) * 13, deviation=(0.2,) * 13)
    with pytest.raises(UsageError, match="8 bits do not hold the pixels of 16 bits of eurosat_all; leave"):
        formats.export(folder, ["tflite_int8"], CONFIG)
    text = formats.export(folder, ["tflite"], CONFIG)
    assert float(table_of(text)["tflite"]["difference"]) < 1e-5
    images = np.random.default_rng(1).integers(0, 20000, (5, 8, 8, 13), np.uint16)
    found = tflite.predictor((tmp_path / "bare.export" / "ticket.tflite").read_bytes(), 1)(images)
    np.testing.assert_allclose(found, Ticket.load(folder).predict(images), atol=1e-5)


def test_calibration_sees_training_images_of_the_run_and_comparison_others(run_folder, digits):
    ticket, run, source = Ticket.load(f"{run_folder}/ticket"), runs.RunFolder(run_folder), sources.load("digits")
    mine = {row["id"] for row in storage.read_csv(run.subset) if row["part"] == "train"}
    trained = {source.images([position])[0].tobytes() for position, name in enumerate(source.ids) if name in mine}
    tests = [image.tobytes() for image in digits[0]]
    found = samples.of(ticket, run, Place())
    assert len(found.calibration) == 200 and len(found.compared) == 100
    assert {image.tobytes() for image in found.calibration} <= trained
    assert [image.tobytes() for image in found.compared] == tests[::6]
    unnamed = dataclasses.replace(ticket, ids=None)  # as earlier versions wrote it
    for ticket_, run_ in ((ticket, None), (unnamed, run)):
        np.testing.assert_array_equal(samples.of(ticket_, run_, Place()).calibration, found.calibration)
    for ticket_, run_ in ((unnamed, None), (dataclasses.replace(ticket, ids_digest="0"), run)):
        alone = samples.of(ticket_, run_, Place())
        assert [image.tobytes() for image in alone.compared] == tests[::6]
        left = [image for position, image in enumerate(tests) if position % 6]
        assert alone.calibration_kind == "test images" and len(alone.calibration) == 200
        assert [image.tobytes() for image in alone.calibration] == [left[k * 500 // 200] for k in range(200)]


def test_other_pictures_than_the_ticket_s_are_refused(run_folder, tmp_path, monkeypatch):
    other = sources.load("digits")
    other.data_set = dataclasses.replace(other.data_set, image_shape=(9, 9, 1))
    monkeypatch.setattr(sources, "load", lambda name, data_dir: other)
    with pytest.raises(UsageError, match="the pictures in --data_dir=mine have 10 classes of .9, 9, 1.*give its own"):
        formats.export(f"{run_folder}/ticket", ["ticket", "tflite"], CONFIG.replace(data_dir="mine"), str(tmp_path))
    assert os.listdir(tmp_path) == []
