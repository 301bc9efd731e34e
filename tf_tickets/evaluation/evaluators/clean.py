"""The test images as they are."""

import functools

from tf_tickets.evaluation.evaluator import Evaluator, Task, TestImages
from tf_tickets.registry import EVALUATORS


@EVALUATORS.register("clean")
class Clean(Evaluator):
    """Accuracy, calibration, accuracy by class and confusions; keeps predictions and examples."""

    order = 1
    text = "accuracy, calibration error over 15 bins, accuracy by class, and the confusions that occur"
    in_classes = True
    plain = False

    def tasks(self, images: TestImages) -> list[Task]:
        """The test split, whole."""
        measure = functools.partial(_measure, images=images)
        return [Task("clean", "test", "calibration_error", measure, functools.partial(_examples, images=images))]


def _measure(network, rows, images):
    import numpy as np

    from tf_tickets.evaluation import accuracy, calibration, predictions

    data_set, images = images.data_set, images.load()
    labels, logits, temperature = data_set.labels, network.logits(images), network.ticket.temperature
    if network.predictions:
        predictions.keep(network.predictions, logits, images.labels, temperature)
    loss = network.ticket.settings.get("loss", "cross_entropy")  # of an ensemble, whose logits are no member's
    values = accuracy.metrics(logits, images.labels, data_set.classes, loss)
    metrics = [(name, value, len(images)) for name, value in values.items()]
    metrics += calibration.metrics(logits, images, temperature)
    counts = calibration.confusion(logits, images.labels, data_set.classes)
    sizes = counts.sum(axis=1)
    metrics += [
        (f"accuracy:{labels[i]}", counts[i, i] / sizes[i], int(sizes[i])) for i in range(len(labels)) if sizes[i]
    ]
    return metrics + [
        (f"confusion:{labels[i]}>{labels[j]}", int(counts[i, j]), int(sizes[i])) for i, j in np.argwhere(counts)
    ]


def _examples(subject, images):
    from tf_tickets.evaluation import predictions

    predictions.write_examples(subject.run, images.load, images.data_set)
