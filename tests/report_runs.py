"""Run folders with rows of chosen accuracies, for tests of reports."""

from tf_tickets import runs, storage
from tf_tickets.settings.config import Config

TOTAL = 10_000


def make_run(out, accuracies, seed=0, validation=None, best=None, **values):
    """A run folder with one complete round for each accuracy."""
    config = Config.from_values(out=str(out), seed=seed, fraction=0.01, **values)
    folder = runs.RunFolder.of(config)
    storage.write_bytes(folder.config, config.flagfile().encode())
    left = TOTAL
    for index, accuracy in enumerate(accuracies):
        storage.write_json(folder.round(index).summary, {
            "round": index, "density": left / TOTAL, "weights_left": left, "weights_total": TOTAL, "epochs": 200,
            "train_loss": 0.1, "test_accuracy": accuracy, "test_balanced_accuracy": accuracy - 0.01,
            "test_accuracy_best_epoch": best, "epochs_evaluated": 2, "validation_accuracy": validation,
        })  # fmt: skip
        left -= round(0.2 * left)
    return folder


def six_runs(out, **values):
    for seed in range(6):
        make_run(out, [0.5 + 0.01 * seed, 0.52 + 0.01 * seed, 0.53 + 0.012 * seed], seed, **values)
