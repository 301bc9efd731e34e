"""Own pictures that changed after their run: what is measured is of the run's pictures, or nothing is measured."""

import dataclasses
import os
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.analysis.analyze import analyze
from tf_tickets.data import folder, pipeline, sources
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation import evaluate, generated
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments import train
from tf_tickets.experiments.imp import imp
from tf_tickets.export import formats, origin
from tf_tickets.export.ticket import Ticket
from tf_tickets.settings.places import Place

SETTINGS = {
    "dataset": "folder", "model": "vgg11", "width": 2, "epochs": 2, "batch_size": 4, "rounds": 2, "rewind": "init",
    "progress": "none", "tensorboard": False,
}  # fmt: skip
CLEAN = tt.Config.from_values(progress="none")


def save(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)).save(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(pictures, run folder): a finished run, whose data_dir was given relative to another working folder."""
    root = tmp_path_factory.mktemp("made")
    for number, part in enumerate(("train", "test")):
        for label, name in enumerate(("cat", "dog")):
            for index in range(4):
                save(root / "pictures" / part / name / f"{part}{index}.png", 100 * number + 10 * label + index)
    before = os.getcwd()
    os.chdir(root)
    try:
        folder.scan.cache_clear()
        result = imp(tt.Config.from_values(**SETTINGS, data_dir="pictures", out=str(root / "runs")))
    finally:
        os.chdir(before)
    return root / "pictures", pathlib.Path(result.folder)


@pytest.fixture
def copied(made, tmp_path):
    """(pictures, runs.RunFolder) that a test may change; the run's own file names the pictures that it was given."""
    pictures, run = tmp_path / "pictures", tmp_path / run_name(made)
    shutil.copytree(made[0], pictures)
    shutil.copytree(made[1], run)
    folder.scan.cache_clear()
    yield pictures, runs.RunFolder(str(run))
    folder.scan.cache_clear()


def run_name(made):
    return pathlib.Path(made[1].parent.name) / made[1].name


def as_an_earlier_version(run):
    """The run without what earlier versions did not record."""
    os.remove(run.pictures)
    manifest = storage.read_sealed(run.manifest)
    del manifest["pictures"]
    storage.write_json(run.manifest, storage.seal(manifest))
    return run


def add(pictures):
    save(pictures / "test" / "dog" / "new.png", 999)
    return "test/dog/new.png is new"


def add_to_train(pictures):
    save(pictures / "train" / "cat" / "new.png", 999)
    return "train/cat/new.png is new"


def remove(pictures):
    os.remove(pictures / "test" / "cat" / "test2.png")
    return "test/cat/test2.png is gone"


def replace(pictures):
    save(pictures / "test" / "cat" / "test1.png", 998)
    return "test/cat/test1.png has another content"


def move(pictures):
    os.rename(pictures / "train" / "cat" / "train0.png", pictures / "test" / "cat" / "train0.png")
    return "train/cat/train0.png is gone"


def relabel(pictures):
    """Two pictures change places: the names stay."""
    first, second = (pictures / "test" / name / "test0.png" for name in ("cat", "dog"))
    os.rename(first, pictures / "aside")
    os.rename(second, first)
    os.rename(pictures / "aside", second)
    return "test/cat/test0.png has another content"


def test_a_run_knows_its_pictures_wherever_it_is_asked_from(made, tmp_path, monkeypatch):
    pictures, run = made[0], tmp_path / run_name(made)
    shutil.copytree(made[1], run)
    monkeypatch.chdir(tmp_path)
    assert tt.Config.from_flagfile(run / "config.cfg").data.data_dir == str(pictures)
    rows = evaluate.evaluate([str(run)], CLEAN)
    assert {row["n"] for row in rows if row["metric"] == "accuracy"} == {"8"}
    assert {row["round"] for row in rows} == {"0", "1"}
    found = analyze([str(run)], CLEAN.replace(what="activity"))
    assert {row["evaluator"] for row in found[0].rows} == {"activity"}
    # A ticket folder inside its run asks the run.
    assert evaluate.evaluate([str(run / "ticket")], CLEAN)[0]["round"] == "1"


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("change", [add, add_to_train, remove, replace, move, relabel])
def test_changed_pictures_are_refused_by_name_before_anything_is_computed(copied, idle, change, earlier):
    pictures, run = copied
    if earlier:
        as_an_earlier_version(run)
    config = CLEAN.replace(data_dir=str(pictures))
    message = change(pictures)
    if earlier and message.endswith("content"):  # of which it kept one digest for all
        message = "at least one has another content"
    folder.scan.cache_clear()
    idle()
    before = {path: path.stat().st_mtime_ns for path in pathlib.Path(run.folder).rglob("*") if path.name != "lock"}
    asked = [
        lambda path: evaluate.evaluate([path], config), lambda path: analyze([path], config.replace(what="activity")),
        lambda path: formats.export(path, ["tflite_int8"], config), lambda path: formats.export(path, None, config),
    ]  # fmt: skip
    for path in (run.folder, run.ticket):
        for ask in asked:
            with pytest.raises(UsageError, match=f"does not hold the pictures of .* as they were: {message}") as caught:
                ask(path)
            assert "\n" not in str(caught.value) and str(pictures) in str(caught.value)
    assert {p: p.stat().st_mtime_ns for p in pathlib.Path(run.folder).rglob("*") if p.name != "lock"} == before


def test_a_run_of_an_earlier_version_is_recognised_by_its_name(copied, capsys):
    pictures, run = copied
    ticket = Ticket.load(as_an_earlier_version(run).round(1).folder)
    assert ticket.pictures is None
    origin.check_pictures(ticket, run, Place(str(pictures)), print)
    assert capsys.readouterr().out == ""
    # What its name is made of is not at hand: names are compared all the same.
    with open(run.config, "a") as file:
        file.write("--pretrained=nowhere.safetensors\n")
    replace(pictures)
    folder.scan.cache_clear()
    origin.check_pictures(ticket, run, Place(str(pictures)), print)
    assert "compared by name alone" in capsys.readouterr().out
    remove(pictures)
    folder.scan.cache_clear()
    with pytest.raises(UsageError, match="test2.png is gone"):
        origin.check_pictures(ticket, run, Place(str(pictures)))


@pytest.mark.parametrize("settings", [
    {"control": "one_shot"}, {"search_epochs": 1, "rate": 0.5}, {"per_class": 3, "validation": "0.3", "refit": True},
])  # fmt: skip
def test_every_kind_of_run_is_recognised_by_its_name(made, tmp_path, settings):
    """As `opening` writes a run's first files; nothing is trained."""
    folder.scan.cache_clear()
    config = tt.Config.from_values(**SETTINGS | settings, data_dir=str(made[0]), out=str(tmp_path))
    if "control" in settings:
        plan, _, run = train.prepare(config)
    else:
        plan = plans.resolve(config)
        run = plan.folder()
    storage.write_bytes(run.config, plan.config.flagfile().encode())
    digest = folder.scan(str(made[0])).digest
    assert origin._fits_name(run, digest) is True and origin._fits_name(run, "0" * 64) is False


def test_a_ticket_outside_its_run_knows_them_too(copied, tmp_path):
    pictures, run = copied
    ticket, elsewhere = Ticket.load(run.ticket), str(tmp_path / "elsewhere")
    shutil.copytree(run.ticket, elsewhere)
    assert ticket.pictures == folder.scan(str(pictures)).digest
    config = CLEAN.replace(data_dir=str(pictures))
    assert evaluate.evaluate([elsewhere], config)
    with pytest.raises(UsageError, match="the pictures of the ticket are needed"):
        evaluate.evaluate([elsewhere], CLEAN)
    save(pictures / "test" / "dog" / "new.png", 999)
    folder.scan.cache_clear()
    with pytest.raises(UsageError, match="pictures of the ticket as they were"):
        evaluate.evaluate([elsewhere], config)
    # An earlier version kept the names of what it was trained on, and nothing else.
    earlier = dataclasses.replace(ticket, pictures=None)
    assert earlier.content_digest == ticket.content_digest
    origin.check_pictures(earlier, None, Place(str(pictures)))
    unknown = dataclasses.replace(earlier, ids=(*ticket.ids, "test/dog/new.png"))
    with pytest.raises(UsageError, match="test/dog/new.png would test the ticket"):
        origin.check_pictures(unknown, None, Place(str(pictures)))


def test_retraining_says_what_the_ticket_was_found_on(copied, capsys):
    pictures, run = copied
    ticket = Ticket.load(run.ticket)

    def told():
        folder.scan.cache_clear()
        config = tt.Config.from_values(
            **SETTINGS | {"rounds": 1}, data_dir=str(pictures), out=str(pictures.parent), ticket=run.ticket
        )
        train._tell_of_tested(ticket, train.prepare(config)[0])
        return capsys.readouterr().err

    assert told() == ""
    for name in ("cat", "dog"):  # other pictures of other names
        os.rename(pictures / "test" / name / "test0.png", pictures / "test" / name / "other.png")
    assert told() == ""
    ticket = dataclasses.replace(ticket, ids=(*ticket.ids, "test/cat/other.png"))
    assert "1 test pictures, such as test/cat/other.png, have names" in told()


def test_masks_are_looked_at_without_pictures(copied):
    pictures, run = copied
    text = pathlib.Path(run.config).read_text()
    pathlib.Path(run.config).write_text(text.replace("--data_dir=", "--data_dir=/nowhere"))
    found = analyze([run.folder], CLEAN.replace(what="density"))
    assert {row["evaluator"] for row in found[0].rows} == {"density"}
    with pytest.raises(UsageError, match="are needed, and they were in /nowhere.*, which is not there: add --data_dir"):
        evaluate.evaluate([run.folder], CLEAN)


def test_eight_bits_need_the_pictures_which_is_said_at_once(copied, tmp_path, command):
    """TensorFlow is not even loaded."""
    pictures, run = copied
    text = pathlib.Path(run.config).read_text()
    pathlib.Path(run.config).write_text(text.replace("--data_dir=", "--data_dir=/nowhere"))
    done = command(tmp_path, "export", run.folder, "--format=runtime,tflite_int8")
    message = "--format=tflite_int8: it is calibrated on images, and the folder of its pictures is not given"
    assert (done.returncode, done.stdout) == (2, "") and message in done.stderr and done.stderr.count("\n") == 1
    save(pictures / "test" / "cat" / "test1.png", 998)
    done = command(tmp_path, "export", run.folder, f"--data_dir={pictures}")
    assert done.returncode == 2 and "does not hold the pictures of" in done.stderr and done.stderr.count("\n") == 1
    assert not os.path.exists(f"{run.ticket}.export")


def test_damaged_lists_are_named(copied):
    pictures, run = copied
    storage.write_csv(run.subset, [{"id": "a"}], ("id",))
    remove(pictures)
    folder.scan.cache_clear()
    with pytest.raises(StateError, match=r"subset.csv has other columns"):
        evaluate.evaluate([as_an_earlier_version(run).ticket], CLEAN.replace(data_dir=str(pictures)))


@pytest.mark.parametrize("damage", ["one digit", "columns"])
def test_a_damaged_list_of_contents_is_named(copied, damage):
    pictures, run = copied
    text = pathlib.Path(run.pictures).read_text()
    pathlib.Path(run.pictures).write_text(text[:-2] + "x\n" if damage == "one digit" else text.replace("part", "parts"))
    remove(pictures)
    folder.scan.cache_clear()
    with pytest.raises(StateError, match=r"pictures.csv was changed since its run began"):
        evaluate.evaluate([run.ticket], CLEAN.replace(data_dir=str(pictures)))


def test_corrupted_pictures_are_not_kept_among_the_user_s(made, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    folder.scan.cache_clear()
    data_set = sources.facts_of(tt.Config.from_values(dataset="folder", data_dir=str(made[0])).data)
    images = pipeline.Images(np.zeros((2, 12, 12, 3), np.uint8), np.arange(2), np.arange(2))
    found = generated.corrupted(data_set, Place(str(made[0])), lambda: images, print)
    found[0].load()
    assert sorted(os.listdir(made[0])) == ["test", "train"]
    assert [path.suffix for path in tmp_path.rglob("*.npy")] == [".npy"]
