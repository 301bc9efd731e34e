"""Shared by all tests: legacy Keras first, fixtures, and the smallest useful configuration."""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import command_server
import numpy as np
import pytest
import small_network

import tf_tickets
from tf_tickets import backend

# As a run of small batches sets it at its start, which comes too late where a test has computed before.
backend.tf.config.threading.set_intra_op_parallelism_threads(1)
backend.tf.config.threading.set_inter_op_parallelism_threads(len(os.sched_getaffinity(0)))

DATA = pathlib.Path(__file__).parent / "data"
ROOT = pathlib.Path(__file__).parent.parent

# Three rounds of digits that the tests of whole runs share.
SETTINGS = {
    "dataset": "digits", "images": 70, "width": 2, "epochs": 5, "rounds": 3, "rewind": "epoch:1", "batch_size": 20,
    "progress": "none", "validation": "0.2", "eval_every": 2,
}  # fmt: skip
# The same on the program's network that is quickest to trace, for tests that make several runs.
QUICK = SETTINGS | {"model": "vgg11"}
# The same on a network of two convolutions, which only this process knows: for runs that no other process goes on with.
TWO_LAYERS = SETTINGS | {"model": small_network.NAME}
# Modules of more than half a minute each: they come first, so that no core waits for one of them at the end.
LONG = """
    multi_worker torture c_source parity split_sets onnx tuning own_networks_runs kernels pretrain image_size arrays
    evaluations_csv applications ensemble tfds_group pretrained augment fine_tuning table evaluate extending imp
    long_dense library resume refit damages resealed systems calibration c_program page_code clusters
""".split()


def pytest_collection_modifyitems(items):
    """The long modules first, the others as they were."""
    places = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONG)))


@pytest.fixture(autouse=True)
def own_keras_home(tmp_path_factory, monkeypatch):
    """keras-core writes its settings into the home folder when it is imported; tests leave that alone."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path_factory.getbasetemp() / "keras"))


@pytest.fixture
def fixture_json():
    """Reads a JSON fixture by name."""
    return lambda name: json.loads((DATA / name).read_text())


@pytest.fixture
def fixture_arrays():
    """Reads an npz fixture by name."""

    def read(name):
        with np.load(DATA / name) as archive:
            return {key: archive[key] for key in archive.files}

    return read


@pytest.fixture
def tiny(tmp_path):
    """A configuration that trains three rounds on digits in seconds."""

    def make(**changes):
        values = {
            "dataset": "digits", "images": 60, "width": 2, "epochs": 4, "rounds": 3, "rewind": "epoch:1",
            "batch_size": 20, "out": str(tmp_path / "runs"), "progress": "none", "tensorboard": False,
        } | changes  # fmt: skip
        return tf_tickets.Config.from_values(**values)

    return make


@pytest.fixture
def idle(monkeypatch):
    """A function after which computing anything fails the test."""

    from tf_tickets.data import sources

    def computed(*arguments):
        raise AssertionError("computed again")

    def forbid():
        monkeypatch.setattr(tf_tickets.Ticket, "build", computed)
        monkeypatch.setattr(sources, "load", computed)

    return forbid


@pytest.fixture
def no_figures(monkeypatch):
    """Leaves the drawing of a report out where a test is about something else."""
    from tf_tickets.report import plots

    monkeypatch.setattr(plots, "accuracy_against_density", lambda *arguments: None)


@pytest.fixture(scope="session")
def forking(tmp_path_factory):
    """The process from which `command` forks."""
    server = command_server.Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture
def command(forking):
    """Runs `python -m tf_tickets.main` where importing TensorFlow ends the process with status 99."""
    return lambda folder, *words: forking.run(folder, words)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The folder of a user's package `ownshop`, which Python finds: see own_shop."""
    import own_shop

    folder = tmp_path_factory.mktemp("installed")
    own_shop.install(folder)
    sys.path.append(str(folder))
    yield folder
    sys.path.remove(str(folder))
