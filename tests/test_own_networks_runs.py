"""Whole runs of Keras networks of the user's own: killed, continued, served, reported."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import command_server
import numpy as np
import pytest
import stops
import trees
from own_shop import DIGITS, SHAPE, environment, main, main_loaded, words

import tf_tickets as tt
from tf_tickets import own_networks, runs, runtime
from tf_tickets.backend import tf
from tf_tickets.errors import UsageError
from tf_tickets.models import builder
from tf_tickets.runtime import files
from tf_tickets.training import checkpoints


def killed_in_its_second_round(shop, folder, *given):
    """Starts a run on the command line and kills it once its dense round is there."""
    started = command_server.loaded().start(folder, given, environment=environment(shop))
    while not list(folder.glob("killed/*/*/round_00/summary.json")) and started.poll() is None:
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    started.communicate()
    assert started.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def run(shop, tmp_path_factory):
    """(folder, output of its dry run) of two rounds of a network with dropout and a residual, by the command line."""
    folder = tmp_path_factory.mktemp("run")
    given = [*words(), "--model=ownshop.nets:residual", f"--out={folder / 'runs'}"]
    planned = main(shop, folder, *given, "--dry_run")
    ran = main_loaded(shop, folder, *given)
    assert ran.returncode == 0, ran.stderr
    (place,) = folder.glob("runs/*/*")
    return place, planned


def test_a_dry_run_counts_the_weights_of_the_built_network_and_says_so(run):
    place, planned = run
    assert planned.returncode == 0
    assert "TensorFlow is loaded: the weights of --model=ownshop.nets:residual are counted" in planned.stderr
    assert "986 parameters, 776 prunable weights" in planned.stdout
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["model"]["function"] == "--model=ownshop.nets:residual" and manifest["model"]["source"]


def test_python_and_the_command_line_share_folder_and_bits(run, tmp_path, shop):
    from ownshop import nets

    place, _ = run
    folder = tt.imp(tt.Config(**DIGITS, out=str(tmp_path)), model=nets.residual).folder
    assert runs.RunFolder(folder).name == runs.RunFolder(str(place)).name
    mine, theirs = (tt.Ticket.load(os.path.join(where, "ticket")) for where in (folder, place))
    assert mine.content_digest == theirs.content_digest
    again = tt.imp(tt.Config(**DIGITS, out=str(place.parent.parent)), model=nets.residual)
    assert again.folder == str(place)


def test_its_ticket_needs_no_code_of_the_users(run, tmp_path, shop):
    place, nowhere = tmp_path / "digits-own-copy" / "seed_0", tmp_path / "nowhere"
    shutil.copytree(run[0], place)
    nowhere.mkdir()
    report = main_loaded(nowhere, tmp_path, "report", str(place), f"--out={tmp_path / 'report'}")
    assert report.returncode == 0, report.stderr
    page = (tmp_path / "report" / "report.html").read_text()
    assert "digits, ownshop.nets:residual (" in page and " --model=ownshop.nets:residual --epochs=3" in page
    assert main_loaded(nowhere, tmp_path, "verify", str(place / "ticket")).returncode == 0
    measured = main_loaded(nowhere, tmp_path, "evaluate", str(place))
    assert measured.returncode == 0, measured.stderr
    ticket = tt.Ticket.load(place / "ticket")
    images = np.random.default_rng(0).integers(0, 17, (4, 8, 8, 1), np.uint8)
    served = tf.saved_model.load(str(place / "ticket")).signatures["serving_default"](images=tf.constant(images))
    np.testing.assert_allclose(served["probabilities"], ticket.predict(images), rtol=0, atol=1e-5)
    retrained = main(nowhere, tmp_path, "train", *words(rounds=12), f"--ticket={place / 'ticket'}", "--dry_run")
    assert retrained.returncode == 2 and "give the function that the ticket is of with --model=" in retrained.stderr
    assert "runtime.npz" in tt.export(str(place / "ticket"), out=tmp_path / "files")
    network = runtime.load(str(place / "ticket"))
    np.testing.assert_allclose(network.predict(images), ticket.predict(images), rtol=0, atol=1e-5)


def test_killed_on_the_command_line_it_goes_on_with_the_same_bits(run, tmp_path, shop):
    given = [*words(), "--model=ownshop.nets:residual", f"--out={tmp_path / 'killed'}"]
    killed_in_its_second_round(shop, tmp_path, *given)
    (place,) = tmp_path.glob("killed/*/*")
    continued = main_loaded(shop, tmp_path, f"--flagfile={place / 'config.cfg'}")  # by what the folder keeps
    assert continued.returncode == 0, continued.stderr
    trees.assert_equal(trees.contents(place), trees.contents(run[0]))


def test_a_layer_of_the_users_own_is_masked_and_its_ticket_names_the_module(shop, tmp_path, monkeypatch):
    from ownshop import parts

    monkeypatch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
    config = tt.Config(**DIGITS, out=str(tmp_path / "whole"))

    def command(settings, stop=lambda: False):
        return tt.imp(settings, stop, model=parts.mixed)

    assert stops.assert_stopping_changes_nothing(command, config, tmp_path / "parts", after=(1, 2, 40)) >= 2
    folder = command(config).folder
    ticket = tt.Ticket.load(os.path.join(folder, "ticket"))
    assert "the runtime does not know mixer (Mixer)" in tt.export(ticket.folder, out=tmp_path / "files")
    assert list(ticket.masks) == ["separable_conv2d.depthwise", "separable_conv2d.pointwise", "conv2d", "mixer"]
    assert not ticket.masks["mixer"].all() and not ticket.trained["mixer/kernel"][~ticket.masks["mixer"]].any()
    images = np.random.default_rng(0).integers(0, 17, (40, 8, 8, 1), np.uint8)
    np.save(tmp_path / "wanted.npy", ticket.predict(images))
    manifest = json.loads((tmp_path / folder / "manifest.json").read_text())
    assert manifest["versions"]["layer ownshop.parts>Mixer"].startswith("source ")
    refused = main(shop, tmp_path, "evaluate", os.path.join(folder, "ticket"))
    assert refused.returncode == 2 and "add --plugins=ownshop.parts to the command" in refused.stderr
    evaluated = main_loaded(shop, tmp_path, "evaluate", os.path.join(folder, "ticket"), "--plugins=ownshop.parts")
    assert evaluated.returncode == 0


@pytest.mark.parametrize("change, said", [
    (lambda document: document["layers"][0].update(class_name="Lambda"), "which no network here has"),
    (lambda document: document["layers"][0].update(class_name="os>system"), "--plugins=os"),
    (lambda document: document["layers"][3]["config"].update(function="io.write_file"), "no operation"),
    (lambda document: document["layers"][0]["config"].update(activation={"class_name": "function"}), "no activation"),
    (lambda document: document["layers"][0]["config"].update(kernel_initializer={"class_name": "A", "config": {}}),
     "no initializer"),
    (lambda document: document["layers"][0]["args"].append({"tensor": "dense"}), "cannot be built"),
    (lambda document: document["layers"][0].update(name="../up"), "no name of a layer"),
    (lambda document: document["layers"][0]["config"].update(filters=1 << 40), "more weights than any layer"),
    (lambda document: document.update(layers=[]), "no layers"),
    (lambda document: document["kernels"][0].__setitem__(2, [3, 3, 1, 9]), "let them agree"),
    (lambda document: document.update(kernels=[]), "made up"),
    (lambda document: document.update(starts="x"), "made up"),
])  # fmt: skip
def test_an_architecture_that_was_made_up_is_refused_and_executes_nothing(run, change, said):
    document = json.loads((run[0] / own_networks.FILE).read_text())
    del document["self_sha256"]
    change(document)
    name = own_networks.keep(document)
    with pytest.raises(UsageError, match=said):
        builder.build(name, classes=10, image_shape=SHAPE)


def test_a_changed_architecture_is_refused_by_its_hash(run, tmp_path, shop):
    (tmp_path / "config.cfg").write_bytes((run[0] / "config.cfg").read_bytes())
    said = main(shop, tmp_path, "--flagfile=config.cfg", "--dry_run")
    assert said.returncode == 2 and "architecture.json cannot be read" in said.stderr
    document = json.loads((run[0] / own_networks.FILE).read_text()) | {"pixels": True}
    (tmp_path / own_networks.FILE).write_bytes(files.canonical(document))
    said = main(shop, tmp_path, "--flagfile=config.cfg", "--dry_run")
    assert said.returncode == 2 and "does not have its recorded hash" in said.stderr and said.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("network, changes, masked", [
    ("ownshop.parts:mixed", {}, ["separable_conv2d.depthwise", "separable_conv2d.pointwise", "conv2d", "mixer"]),
    ("ownshop.nets:grouped", {}, ["conv2d", "conv2d_1", "conv2d_2", "depthwise_conv2d"]),
    ("ownshop.nets:mobile", {"image_size": 96, "epochs": 2}, 52),
])  # fmt: skip
def test_killed_it_goes_on_with_the_same_bits_and_its_ticket_is_used(shop, tmp_path, network, changes, masked):
    given = [*words(**changes), f"--model={network}"]
    ran = main_loaded(shop, tmp_path, *given, "--out=whole")
    assert ran.returncode == 0, ran.stderr
    killed_in_its_second_round(shop, tmp_path, *given, "--out=killed")
    continued = main_loaded(shop, tmp_path, *given, "--out=killed")
    assert continued.returncode == 0, continued.stderr
    (whole,), (place,) = tmp_path.glob("whole/*/*"), tmp_path.glob("killed/*/*")
    trees.assert_equal(trees.contents(place), trees.contents(whole))
    importlib.import_module(network.partition(":")[0])
    ticket = tt.Ticket.load(place / "ticket")
    assert len(ticket.masks) == masked or list(ticket.masks) == masked
    plugins = ["--plugins=ownshop.parts"] if "parts" in network else []
    for words_of in (["verify", place / "ticket"], ["evaluate", place], ["report", place, "--out=report"]):
        ended = main_loaded(shop, tmp_path, *map(str, words_of), *plugins)
        assert ended.returncode == 0, ended.stderr
    assert network in (tmp_path / "report" / "report.html").read_text()
    images = np.random.default_rng(1).integers(0, 17, (4, 8, 8, 1), np.uint8)
    np.save(tmp_path / "images.npy", images)
    plain = (
        "import sys, numpy as np, tensorflow as tf; images = tf.constant(np.load('images.npy'))\n"
        f"served = tf.saved_model.load({str(place / 'ticket')!r}).signatures['serving_default'](images=images)\n"
        "np.save('served.npy', served['probabilities']); assert 'tf_tickets' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", plain], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "served.npy"), ticket.predict(images), rtol=0, atol=1e-5)
