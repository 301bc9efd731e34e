"""Newer test sets of the same classes."""

from tf_tickets.errors import UsageError
from tf_tickets.evaluation.evaluator import Evaluator, Task, TestImages, on_set
from tf_tickets.notices import say
from tf_tickets.registry import EVALUATORS


@EVALUATORS.register("shift")
class Shift(Evaluator):
    """Accuracy and calibration on CIFAR-10.1 and CIFAR-10.2."""

    order = 3
    text = "CIFAR-10.1 (version 6) and CIFAR-10.2 (its test part, and train + test), from files below --data_dir"
    plain = False

    def tasks(self, images: TestImages) -> list[Task]:
        """Each test set that is there; names the others."""
        from tf_tickets.evaluation import published_sets

        sets, missing = published_sets.shifted(images.data_set, images.place.data_dir)
        if not sets and images.config.command.evaluators == "shift":
            raise UsageError(f"--evaluators=shift: {'; '.join(missing)}")
        for line in missing:
            say(f"shift: {line}")
        return [on_set("shift", test_set) for test_set in sets]
