"""A module of the user's own registers a data set, or an operation of --augment, and every command takes it."""

import os

import numpy as np
import pytest
from absl import flags
from conftest import TWO_LAYERS

import tf_tickets as tt
from tf_tickets import augment, main, runs, storage
from tf_tickets.augment import contact_sheet, sampling
from tf_tickets.backend import tf
from tf_tickets.data import functions, sources
from tf_tickets.errors import StateError, UsageError
from tf_tickets.registry import DATASETS, OPERATIONS
from tf_tickets.settings import cli, config, help_texts, policies

CLASSES = ("dark", "bright")


def arrays(changed=False):
    """Two classes of grey pictures, 20 to train and 10 to test."""
    rng, parts = np.random.default_rng(0), {}
    for part, count in (("train", 20), ("test", 10)):
        labels = np.arange(count) % 2
        images = rng.integers(0, 100, (count, 8, 8, 1)) + 100 * labels[:, None, None, None]
        parts[part] = images.astype(np.uint8), labels
    if changed:
        parts["train"][0][3, 0, 0] ^= 1
    return parts


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    """What a test registers is gone when it ends."""
    for registry in (DATASETS, OPERATIONS):
        monkeypatch.setattr(registry, "_parts", dict(registry))


def registered(make=arrays, classes=CLASSES, **changes):
    """Registers `toy`, as a new process with another function would."""
    DATASETS._parts.pop("toy", None)
    functions.register("toy", classes, **changes)(make)


def run(*words):
    """One command line in this process; its exit status."""
    return main.main(cli.parse(["tf-tickets", *words], flags.FlagValues()))


def quick(out, **changes):
    """A tiny run on `toy`."""
    values = {"dataset": "toy", "images": None, "batch_size": 10, "epochs": 2, "rounds": 2, "tensorboard": False}
    return tt.Config.from_values(**TWO_LAYERS | values | changes, out=str(out))


def words_of(settings):
    """The flags of a Config."""
    options = config.options()
    return [options[name].format(value) for name, value in settings.values().items() if value is not None]


def test_a_data_set_is_a_choice_and_in_the_help_once_it_is_registered():
    with pytest.raises(UsageError, match="--dataset=toy is not one of"):
        tt.Config.from_values(dataset="toy")
    registered()
    assert ", arrays, toy, tfds:NAME]" in help_texts.full()
    with pytest.raises(UsageError, match="did you mean toy"):
        tt.Config.from_values(dataset="tay")
    assert tt.Config.from_values(probe="digits,toy").command.probe == "digits,toy"


def test_every_command_takes_a_registered_data_set(tmp_path, capsys):
    registered()
    settings = quick(tmp_path / "runs")
    assert run(*words_of(settings), "--dry_run") == 0
    plan = capsys.readouterr().out
    assert "toy: 16 training images, 8 per class; 4 held out; 10 test images" in plan
    assert "30 given by test_own_parts.arrays: 8x8 pixels, grey" in plan and not (tmp_path / "runs").exists()
    result = tt.imp(settings)
    folder, ticket = runs.RunFolder(result.folder), result.best.folder
    assert tt.Ticket.load(ticket).labels == CLASSES
    assert run("train", *words_of(settings), f"--ticket={ticket}") == 0
    capsys.readouterr()
    assert run("evaluate", folder.folder, "--evaluators=clean,fgsm") == 0
    assert "fgsm" in capsys.readouterr().out
    assert run("analyze", folder.folder, "--what=probe", "--probe=toy", "--probe_images=10") == 0
    assert run("export", folder.folder, f"--out={tmp_path / 'exported'}") == 0
    assert run("verify", str(tmp_path / "exported" / "ticket")) == 0


def test_a_run_is_named_after_the_pictures_and_no_other_pictures_evaluate_it(tmp_path):
    registered()
    result = tt.imp(quick(tmp_path))
    assert "pictures" in storage.read_sealed(runs.RunFolder(result.folder).manifest)
    registered(lambda: arrays(changed=True))
    with pytest.raises(UsageError, match="--dataset=toy does not hold the pictures of .* as they were"):
        run("evaluate", result.folder, "--evaluators=clean")
    assert tt.imp(quick(tmp_path)).folder != result.folder


def test_a_validation_part_is_held_out_unless_told_otherwise(tmp_path):
    parts = arrays()
    registered(lambda: {**parts, "validation": parts["test"]}, flip=False, mean=(0.5,), deviation=(0.25,))
    source = sources.load("toy")
    assert source.held.sum() == 10 and source.data_set.validation_counts == (5, 5)
    assert source.data_set.base == "crop(1)" and source.data_set.mean == (0.5,)
    np.testing.assert_array_equal(source.images(np.flatnonzero(source.held)), parts["test"][0])
    assert runs.RunFolder(tt.imp(quick(tmp_path)).folder).round(0).read_summary()["validation_accuracy"] >= 0


BAD = {
    "no parts": (lambda: [], "has to return a dict of train, test"),
    "no test": (lambda: {"train": arrays()["train"]}, "has to return a dict of train, test"),
    "floats": (lambda: _with(images=np.zeros((4, 8, 8, 1))), r"train images are float64\[4, 8, 8, 1\]"),
    "flat": (lambda: _with(images=np.zeros((4, 8), np.uint8)), r"train images are uint8\[4, 8\]"),
    "sizes": (lambda: _with(images=np.zeros((4, 9, 8, 1), np.uint8)), "different sizes"),
    "labels": (lambda: _with(labels=np.array([0, 1, 2, 1])), "train labels are 0 to 2, not 0 to 1"),
    "fewer labels": (lambda: _with(labels=np.array([0, 1])), "one whole number for each image"),
    "a class without": (lambda: _with(labels=np.zeros(4, int)), "class 'bright' has no training images"),
}


def _with(images=None, labels=None):
    images = np.zeros((4, 8, 8, 1), np.uint8) if images is None else images
    return {**arrays(), "train": (images, np.arange(4) % 2 if labels is None else labels)}


@pytest.mark.parametrize("case", BAD)
def test_arrays_that_cannot_be_used_are_refused_in_one_line(case, tmp_path):
    make, message = BAD[case]
    registered(make)
    with pytest.raises(UsageError, match=f"--dataset=toy: .*{message}") as caught:
        run(*words_of(quick(tmp_path / "runs")), "--dry_run")
    assert "\n" not in str(caught.value) and not (tmp_path / "runs").exists()


def test_class_names_and_names_of_data_sets_follow_the_rules():
    registered(classes=("dark", "bri\nght"))
    with pytest.raises(UsageError, match=r"--dataset=toy: the class 'bri\\nght' has .*rename it"):
        sources.load("toy")
    for name in ("toy", "digits", "Two words", "a/b"):
        with pytest.raises(ValueError, match=name):
            functions.register(name, CLASSES)(arrays)
    with pytest.raises(ValueError, match="colour is no fact"):
        functions.register("other", CLASSES, colour=3)


def test_a_ticket_of_a_data_set_that_is_not_registered_says_so(tmp_path):
    registered()
    result = tt.imp(quick(tmp_path))
    ticket = tt.Ticket.load(result.best.folder)
    ticket.save(str(tmp_path / "ticket"))
    DATASETS._parts.pop("toy")
    with pytest.raises(StateError, match="--dataset=toy is not one of"):
        run("evaluate", str(tmp_path / "ticket"), "--evaluators=clean")
    with pytest.raises(UsageError, match="'toy' is no data set: .*import the module that registers it"):
        sources.load("toy")


def darken(images, keys, slot, share):
    """Darker by U(0, share)."""
    factor = 1.0 - share * sampling.uniform(keys, slot)[:, None, None, None]
    return tf.cast(tf.cast(images, tf.float32) * factor, images.dtype)


def test_an_operation_of_one_s_own_is_one_decorated_function(tmp_path, monkeypatch):
    share = augment.Argument("share", float, 0.0, 1.0)
    assert "names 'darken'" in policies.check("darken(0.5)")
    augment.register("darken", "darker by U(0, x)", share, levels=False, examples="darken(0.5)")(darken)
    assert "darken(share)" in help_texts.full()
    assert "write darken(share)" in policies.check("flip|darken") and policies.check("flip|darken(0.5)") is None
    images, keys = np.full((3, 8, 8, 1), 200, np.uint8), augment.keys(0, 0, 0, np.arange(3))
    levels = augment.apply("darken(0.5)", images, keys).numpy()[:, 0, 0, 0]
    assert (levels >= 100).all() and len(set(levels.tolist())) == 3
    config = tt.Config.from_values(
        **TWO_LAYERS | {"augment": "darken(0.5)|flip", "epochs": 2, "rounds": 1}, out=str(tmp_path)
    )
    assert os.path.isfile(os.path.join(tt.imp(config).folder, "round_00", "summary.json"))
    rows = []
    monkeypatch.setattr(contact_sheet, "drawn", lambda drawn, names: rows.extend(drawn) or b"")
    assert run("analyze", "--what=augment", "--dataset=digits", f"--out={tmp_path / 'sheet'}") == 0
    assert "darken(0.5)" in [name for name, _ in rows]


def test_an_operation_is_not_called_like_another_nor_like_a_preset():
    share = augment.Argument("share", float, 0.0, 1.0)
    for name, arguments in (("flip", ()), ("rand", ()), ("auto", (share,)), ("Darken", ()), ("a|b", ())):
        with pytest.raises(ValueError, match=name.replace("|", r"\|")):
            augment.register(name, "nothing", *arguments)(darken)
