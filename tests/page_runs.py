"""Run folders with all that the page of a report shows."""

import numpy as np

from tf_tickets import storage

CLASSES = ["cat", "a>b", "<img src=x onerror=alert(1)>"]

COLUMNS = ("run", "round", "density", "evaluator", "setting", "metric", "value", "n")

LAYERS = ("first", "second", "<b>")


def measured_rows(index, clean):
    """The rows that `evaluate` leaves for one round, around an accuracy on clean images."""
    measured = [("clean", "test", "accuracy", clean), ("clean", "test", "calibration_error", 0.1 + clean / 10)]
    measured += [("fgsm", "eps=0.03137", "accuracy", clean / 4), ("shift", "cifar10.1_v6", "accuracy", clean - 0.1)]
    for kind, loss in (("fog", 0.02), ("contrast", 0.03)):
        measured += [
            ("generated-corruptions", f"{kind}:{level}", "accuracy", clean - loss * level * (1 + index))
            for level in range(1, 6)
        ]
    measured.append(("generated-corruptions", "standard_2", "accuracy", clean - 0.09 * (1 + index)))
    rows = [(*one, 100) for one in measured]
    for number, true in enumerate(CLASSES):
        share = clean - 0.1 + number / 10
        rows += [("clean", "test", f"accuracy:{true}", share, 50)]
        rows += [("clean", "test", f"confusion:{true}>{true}", 50 * share, 50)]
        rows += [("clean", "test", f"confusion:{true}>{CLASSES[number - 1]}", 50 - 50 * share, 50)]
    return [dict(zip(COLUMNS, ("a/b", index, 0.5, *row))) for row in rows]


def fill(folder, accuracies, evaluated=(0, 2)):
    """Puts what a run leaves beside its summaries into a folder of `make_run`."""
    for index, accuracy in enumerate(accuracies):
        mine, density = folder.round(index), 0.8**index
        storage.write_csv(
            mine.density,
            [{"layer": name, "shape": "3x3", "kept": 9, "total": 9, "density": density} for name in LAYERS],
            ("layer", "shape", "kept", "total", "density"),
        )
        epochs = [
            {"epoch": e, "train_loss": 2.0 / e, "test_accuracy": accuracy if e % 2 else None} for e in range(1, 8)
        ]
        storage.write_csv(mine.epochs, epochs, ("epoch", "train_loss", "test_accuracy"))
        rows = measured_rows(index, accuracy) if index in evaluated else measured_rows(index, accuracy)[:1]
        storage.write_csv(mine.evaluations, rows, COLUMNS)
    storage.write_json(folder.manifest, {"devices": "CPU:0", "versions": {"tensorflow": "2.21.0"}})
    return folder


def add_rows(folder, measured):
    """Adds (evaluator, setting, metric, value, n) to the rows of a round's folder."""
    rows = [dict(zip(COLUMNS, ("a/b", folder.index, 0.5, *row))) for row in measured]
    storage.write_csv(folder.evaluations, storage.read_csv(folder.evaluations) + rows, COLUMNS)


def fill_extras(folder):
    """A CKA matrix and examples."""
    names = [name.rstrip(">") for name in LAYERS]
    values = {f"cka:{a}>{b}": value for a in names for b, value in zip(names, (1.0, 0.5, 0.25))}
    add_rows(folder.round(2), [("similarity", "round_00,images=100", *item, 100) for item in values.items()])
    images = np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3)
    storage.write_arrays(folder.examples, {
        "images": images, "positions": np.array([3, 5, 8]), "labels": np.array([0, 1, 2], np.uint16),
        "dense": np.array([1, 0, 2], np.uint16), "ticket": np.array([0, 1, 0], np.uint16), "round": np.int64(2),
        "gained": np.int64(20), "lost": np.int64(11), "total": np.int64(100), "classes": np.array(CLASSES),
    })  # fmt: skip
