"""TensorBoard's view of a whole run: hyper-parameters, and one point per round."""

import os

from tensorboard.plugins.hparams import api as hparams

from tf_tickets import runs, storage
from tf_tickets.backend import tf
from tf_tickets.settings.config import Config


def write_hparams(folder: runs.RunFolder, config: Config) -> None:
    """Writes the settings as one HParams session, so that runs can be compared by them."""
    path = os.path.join(folder.tensorboard, "rounds")
    storage.remove(path)
    values = {name: value for name, value in config.values().items() if value is not None}
    with tf.summary.create_file_writer(path).as_default():
        hparams.hparams(values, trial_id=os.path.basename(os.path.dirname(folder.folder)))
    for summary in folder.summaries():
        write_round(folder, summary)


def write_round(folder: runs.RunFolder, summary: dict) -> None:
    """Adds one round's numbers at step = round."""
    writer = tf.summary.create_file_writer(os.path.join(folder.tensorboard, "rounds"))
    with writer.as_default(step=summary["round"]):
        for name in ("density", "train_loss", "test_accuracy", "test_balanced_accuracy", "validation_accuracy"):
            if summary[name] is not None:
                tf.summary.scalar(f"rounds/{name}", summary[name])
    writer.close()
