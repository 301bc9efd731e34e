"""A damaged run folder: an older generation is used, or the file is named; nothing is trained again in silence."""

import os
import random
import shutil
import sys

import pytest
import trees
from torture import damages, harness

import tf_tickets as tt
from tf_tickets import errors, runs, storage
from tf_tickets.experiments import opening
from tf_tickets.training import checkpoints, fit

# Each damage to one of the files, in turn, and to both of the checkpoint's generations; all of them under torture/.
KINDS = [*damages.WAYS, "swapped"]
CASES = {name: (files, damage) for name, files, damage in damages.cases("stopped")}
CHOSEN = [f"{KINDS[number % len(KINDS)]} {name}" for number, name in enumerate(damages.STOPPED)]
CHOSEN += [name for name in CASES if name.startswith(("older", "both", "missing round_00", "swapped round_00"))]


def config(out, seed):
    return tt.Config.from_values(**harness.SETTINGS | {"seed": seed, "subset_seed": seed, "out": str(out)})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An untouched run's contents, and folders of two runs stopped inside their second round."""
    folder = tmp_path_factory.mktemp("damages")
    whole = trees.contents(tt.imp(config(folder / "whole", 0)).folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
        patch.setattr(fit, "_BLOCK_SECONDS", 1e-9)
        for seed, name in enumerate(("stopped", "other")):
            with pytest.raises(errors.StopRequested):
                tt.imp(config(folder / name, seed), lambda out=folder / name: damages.both_generations(out))
    return folder, whole


@pytest.mark.parametrize("name", list(dict.fromkeys(CHOSEN)))
def test_damage_is_survived_or_named(made, tmp_path, name, capfd):
    folder, whole = made
    shutil.copytree(folder / "stopped", tmp_path / "runs")
    run, (files, damage) = trees.only_run(tmp_path / "runs"), CASES[name]
    damage(run, trees.only_run(folder / "other"), random.Random(name))
    timing = os.path.join(run, "round_00", "timing.json")
    before = os.stat(timing) if os.path.exists(timing) else None
    status = 0
    try:
        tt.imp(config(tmp_path / "runs", 0))
    except errors.StateError as error:
        status = 3
        print(error, file=sys.stderr)
    assert damages.judge(status, capfd.readouterr().err, files, run, whole) is None
    if status == 0:
        assert os.stat(timing) == before


def test_a_run_of_another_version_is_not_continued_and_still_read(made, tmp_path):
    folder, _ = made
    shutil.copytree(folder / "stopped", tmp_path / "runs")
    run = runs.RunFolder(trees.only_run(tmp_path / "runs"))
    sealed = storage.read_json(run.round(0).summary)
    bare = {name: value for name, value in sealed.items() if name not in ("files", "run", "self_sha256")}
    assert run.round(0).read_summary() == bare
    storage.write_json(run.round(0).summary, bare)
    assert run.summaries() == [bare]
    with pytest.raises(errors.StateError, match="another version"):
        tt.imp(config(tmp_path / "runs", 0))


@pytest.mark.parametrize("variable", ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"])
def test_threads_of_the_environment_are_those_that_are_noted(monkeypatch, variable):
    from tf_tickets import backend

    name = {"TF_NUM_INTRAOP_THREADS": "intra_op_threads", "TF_NUM_INTEROP_THREADS": "inter_op_threads"}[variable]
    monkeypatch.delenv(variable, raising=False)
    usual = backend.versions()[name]
    monkeypatch.setattr(backend.tf.config.threading, f"get_{name[:8]}_parallelism_threads", lambda: 0)
    monkeypatch.setenv(variable, str(usual + 5))
    assert backend.versions()[name] == usual + 5
    monkeypatch.setattr(backend.tf.config.threading, f"get_{name[:8]}_parallelism_threads", lambda: 3)
    assert backend.versions()[name] == 3


def begun_by(version, run):
    """Makes the manifest of a run that of another version of the program."""
    manifest = storage.read_sealed(run.manifest)
    changed = manifest | {"versions": manifest["versions"] | {"tf_tickets": version}}
    changed.pop("self_sha256", None)
    storage.write_json(run.manifest, storage.seal(changed))


def test_a_run_of_an_earlier_version_of_the_same_bits_is_continued_and_others_are_refused(made, tmp_path):
    folder, whole = made
    assert opening.SAME_BITS[-1] == tt.__version__
    shutil.copytree(folder / "stopped", tmp_path / "runs")
    run = runs.RunFolder(trees.only_run(tmp_path / "runs"))
    begun_by("0.1.0", run)
    with pytest.raises(errors.UsageError, match=r"tf_tickets 0.1.0, here it is .* it would end in other bits"):
        tt.imp(config(tmp_path / "runs", 0))
    begun_by("0.2.0", run)
    kept = storage.read_sealed(run.manifest)
    ended = trees.contents(tt.imp(config(tmp_path / "runs", 0)).folder)
    assert storage.read_sealed(run.manifest) == kept
    trees.assert_equal(ended, whole)


def test_another_environment_is_refused_unless_a_flag_says_so(made, tmp_path, monkeypatch):
    folder, whole = made
    shutil.copytree(folder / "stopped", tmp_path / "runs")
    run = runs.RunFolder(trees.only_run(tmp_path / "runs"))
    before = trees.tree(tmp_path / "runs")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "other")
    with pytest.raises(errors.UsageError, match=r"onednn [01], here it is other.*--allow_other_environment"):
        tt.imp(config(tmp_path / "runs", 0))
    assert {name: part for name, part in trees.tree(tmp_path / "runs").items() if not name.endswith("lock")} == {
        name: part for name, part in before.items() if not name.endswith("lock")
    }
    allowed = config(tmp_path / "runs", 0).replace(allow_other_environment=True)
    trees.assert_equal(trees.contents(tt.imp(allowed).folder), whole)  # the variable was read when TensorFlow loaded
    (noted,) = storage.read_sealed(run.manifest)["continued_under"]
    assert noted["versions"]["onednn"] == "other"
