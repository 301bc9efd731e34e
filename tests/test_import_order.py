"""Whatever was imported before tf_tickets, in a process of its own: runs work, and end in the same bits."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

import tf_tickets as tt
from tf_tickets.errors import UsageError

VALUES = {
    "dataset": "digits", "images": 60, "model": "vgg11", "width": 2, "epochs": 2, "rounds": 2, "rewind": "epoch:1",
    "batch_size": 20, "progress": "none", "tensorboard": False,
}  # fmt: skip
# Import before tf_tickets -> the Keras that tf.keras is afterwards.
ORDERS = {
    "import tensorflow": "tf_keras",
    "from tensorflow import keras\nkeras.layers": "keras",
    "from tensorflow.keras import layers": "keras",
    "import keras\nkeras.layers.Dense(2)": "tf_keras",
    "import tf_keras": "tf_keras",
    "import tensorflow_model_optimization": "tf_keras",
    "from tensorflow import keras\nkeras.layers\nimport keras_cv": "keras",
}
REPEATED = [pytest.param(order, marks=pytest.mark.slow) for order in ORDERS if "keras_cv" not in order]
COMPUTES = (
    "import sys\nimport tensorflow as tf\nmodel = tf.keras.Sequential([tf.keras.layers.Dense(2)])\n"
    "model(tf.zeros([1, 3]))\nmodel.compile(loss='mse')\nmodel.fit(tf.zeros([4, 3]), tf.zeros([4, 2]), verbose=0)"
)
WORKS = f"""
import hashlib, json, sys
import numpy as np
import tf_tickets as tt
run = tt.imp(tt.Config(**{VALUES}, out=sys.argv[1]))
pictures = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
views = tt.augment.apply("simclr", pictures, tt.augment.keys(order_seed=0, round_index=0, epoch=0, ids=range(4)))
import tensorflow as tf
keras = type(tf.keras.layers.Dense(2)).__module__.split(".")[0]
bits = [run.ticket.content_digest, hashlib.sha256(np.asarray(views).tobytes()).hexdigest()]
print(json.dumps([keras, bits, run.ticket.predict(pictures[..., :1]).shape]))
"""


def python(code, folder, **environment):
    """Runs code in a process that has not heard of legacy Keras."""
    kept = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    environment = kept | {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-c", code, str(folder / "runs")]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def bits(tmp_path_factory):
    """Of a run and of augmented images where tf_tickets was imported first."""
    run = tt.imp(tt.Config(**VALUES, out=str(tmp_path_factory.mktemp("runs"))))
    pictures = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    views = tt.augment.apply("simclr", pictures, tt.augment.keys(order_seed=0, round_index=0, epoch=0, ids=range(4)))
    return [run.ticket.content_digest, hashlib.sha256(np.asarray(views).tobytes()).hexdigest()]


@pytest.mark.parametrize("order", [*REPEATED, next(order for order in ORDERS if "keras_cv" in order)])
def test_what_was_imported_before_changes_no_bit(order, bits, tmp_path):
    done = python(order + WORKS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [ORDERS[order], bits, [4, 10]]


@pytest.mark.slow
def test_keras_3_may_have_computed_before(tmp_path):
    done = python(COMPUTES + WORKS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])[0] == "keras"


def test_settings_of_tensorflow_that_come_too_late_are_not_made(tmp_path):
    unset = "import os, sys\nos.environ.pop('TF_ENABLE_ONEDNN_OPTS', None)\n"
    shown = "import tf_tickets\nprint(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))"
    assert python(unset + shown, tmp_path).stdout in ("0\n", "1\n")
    assert python(f"{unset}sys.modules['tensorflow'] = sys\n{shown}", tmp_path).stdout == "None\n"


def test_keras_on_another_backend_is_named_where_it_matters(monkeypatch):
    from tf_tickets.augment import deferred

    monkeypatch.setenv("KERAS_BACKEND", "jax")
    deferred.keras_cv.cache_clear()
    with pytest.raises(UsageError, match="KERAS_BACKEND=jax: .* set KERAS_BACKEND=tensorflow before"):
        deferred.keras_cv()
