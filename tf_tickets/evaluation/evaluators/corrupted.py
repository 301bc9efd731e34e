"""Corrupted test images: official files where they are, else images generated here under their own name."""

import functools
import re

from tf_tickets.evaluation.evaluator import Evaluator, Task, TestImages, on_set
from tf_tickets.notices import say
from tf_tickets.registry import EVALUATORS

_GENERATED = "generated-corruptions"


@EVALUATORS.register("corruptions")
class Corruptions(Evaluator):
    """Accuracy and calibration under each corruption and severity, and means of what is whole."""

    order = 2
    text = f"CIFAR-10-C's files in <data_dir>/CIFAR-10-C, or TFDS' cifar10_corrupted; else {_GENERATED}"
    flags = ("test_images",)
    any_size = any_depth = False
    plain = False
    row_names = (_GENERATED, "cifar10_c", "cifar100_c")

    def tasks(self, images: TestImages) -> list[Task]:
        """Each corruption and severity, then the means."""
        from tf_tickets.evaluation import corruptions, generated, published_sets, subsample

        data_set, count = images.data_set, images.config.command.test_images
        sets = published_sets.corrupted(data_set, images.place.data_dir)
        if sets:
            evaluator = published_sets.CORRUPTED[data_set.name].lower().replace("-", "_").replace("cifar_", "cifar")
            standard, every = published_sets.STANDARD, published_sets.ALL
            sets = sets if count is None else [subsample.limited(test_set, count) for test_set in sets]
        else:
            load = images.load if count is None else images.load_fewer
            evaluator, sets = _GENERATED, generated.corrupted(data_set, images.place, load, say)
            every = corruptions.names(data_set.image_shape[2])
            standard = tuple(name for name in every if corruptions.CORRUPTIONS[name].standard)
            if len(every) < len(corruptions.CORRUPTIONS):
                left = ", ".join(name for name in corruptions.CORRUPTIONS if name not in every)
                say(f"corruptions: {left} changes nothing in images of one channel and is left out")
        evaluator = subsample.named(evaluator, count)
        tasks, there = [on_set(evaluator, test_set) for test_set in sets], {test_set.setting for test_set in sets}
        for title, names in ((f"standard_{len(standard)}", standard), (f"all_{len(every)}", every)):
            settings = frozenset(f"{name}:{severity}" for name in names for severity in corruptions.SEVERITIES)
            if there >= settings:
                mean = functools.partial(_mean, evaluator=evaluator, settings=settings)
                tasks.append(Task(evaluator, title, "calibration_error", mean))
            else:
                lacking = sorted({name.split(":")[0] for name in settings - there})
                say(f"{evaluator}: no mean {title}, since {', '.join(lacking)} is missing or not whole")
        return tasks

    def title(self, row_name: str, setting: str) -> str:
        """A mean says of how many corruptions it is."""
        count = re.fullmatch("(?:standard|all)_([0-9]{1,15})", setting)
        made = "generated corruptions" if row_name == _GENERATED else row_name
        return f"{made}, mean of {count[1]}" if count else super().title(row_name, setting)

    def source(self, row_name: str) -> str:
        """Generated images are no benchmark's."""
        return "generated here, not CIFAR-10-C" if row_name.startswith(_GENERATED) else row_name


def _mean(network, rows, evaluator, settings):
    import numpy as np

    from tf_tickets.evaluation import calibration

    chosen = [row for row in rows if row["evaluator"] == evaluator and row["setting"] in settings]
    metrics = []
    for metric in ("accuracy", "calibration_error"):
        parts = [row for row in chosen if row["metric"] == metric]
        value = float(np.mean([float(row["value"]) for row in parts]))
        metrics.append((metric, value, sum(int(row["n"]) for row in parts)))
    if network.ticket.temperature != 1.0:
        metrics.append((calibration.TEMPERATURE, network.ticket.temperature, metrics[-1][2]))
    return metrics
