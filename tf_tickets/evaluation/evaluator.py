"""What is asked of an evaluator, and the tasks that it makes; without TensorFlow."""

import dataclasses
import numbers
import typing
from collections.abc import Callable

from tf_tickets.errors import UsageError, shown
from tf_tickets.evaluation import calibration
from tf_tickets.settings.places import Place

if typing.TYPE_CHECKING:
    import pandas

    from tf_tickets.evaluation.networks import Subject
    from tf_tickets.evaluation.published_sets import TestSet

# (metric, value, number of images or weights that it is of)
Metrics = list[tuple[str, float, int]]


@dataclasses.dataclass(frozen=True)
class Task:
    """One measurement of one network.

    Attributes:
      evaluator, setting: as in its rows.
      last: the metric by whose row the task is known to be done; None: any.
      measure: function (networks.Network, rows so far) -> list of (metric, value, n).
      after: function (networks.Subject), called when the rows are there, new or old; None for nothing.
    """

    evaluator: str
    setting: str
    last: str | None
    measure: Callable[[typing.Any, list[dict]], Metrics]
    after: Callable[[typing.Any], None] | None = None

    def measured(self, network: typing.Any, rows: list[dict]) -> Metrics:
        """What `measure`, which may be the user's own, answers; UsageError unless it is as the type says."""
        metrics = self.measure(network, rows)
        if not isinstance(metrics, list) or not all(map(_is_metric, metrics)):
            raise UsageError(
                f"{self.evaluator}, {self.setting}: what is measured has to be a list of (metric, value, n), a text "
                f"and two numbers each, not {shown(metrics)}"
            )
        return metrics

    def done(self, subject: "Subject") -> bool:
        """Whether the rows of a networks.Subject, and what else the task leaves, are on disk."""
        from tf_tickets.evaluation import predictions

        there = any(
            (row["evaluator"], row["setting"]) == (self.evaluator, self.setting) and self.last in (None, row["metric"])
            for row in subject.rows()
        )
        if self.after is None or not subject.predictions:
            return there
        return there and predictions.are_kept(subject.predictions, subject.ticket.temperature)


def _is_metric(metric):
    if not isinstance(metric, tuple) or len(metric) != 3 or not isinstance(metric[0], str):
        return False
    return all(isinstance(number, numbers.Real) for number in metric[1:])


@dataclasses.dataclass(frozen=True)
class TestImages:
    """What evaluators measure networks of one data set on.

    Attributes:
      data_set: a catalog.DataSet.
      place: where its images are.
      config: the config.Config of the command.
      load: function () -> data.pipeline.Images, the test split.
      load_fewer: function () -> data.pipeline.Images, as many of them as `--test_images` says.
    """

    __test__ = False  # no test of pytest's

    data_set: typing.Any
    place: Place
    config: typing.Any
    load: Callable[[], typing.Any]
    load_fewer: Callable[[], typing.Any]


class Measure:
    """What a report asks of whatever gives rows."""

    order: int = 1000
    """Its place where its kind is listed."""
    text: str
    """What it measures, in one line for `--help`."""
    flags: tuple[str, ...] = ()
    """The settings that it reads, beside those that every one of its kind reads."""
    plain: bool = True
    """Whether the page of a report shows its rows as a plain table, and by density."""

    def title(self, row_name: str, setting: str) -> str:
        """What a report calls a setting of its rows; `row_name` is without `,images=N`."""
        return f"{row_name}, {setting}"

    def source(self, row_name: str) -> str:
        """What a report says of the images that its rows are of."""
        return row_name

    def page(self, rows: "pandas.DataFrame") -> list:
        """The plotting.canvas.Shown that a page has of it; `rows` is a frame of its rows, of the runs of one recipe."""
        return []


class Evaluator(Measure):
    """An evaluator. Each derives from it, registers itself in `registry.EVALUATORS`, and says what is not as here.

    Its rows have the columns `runs.EVALUATION_COLUMNS`.
    """

    any_size: bool = True
    """Whether it takes pictures of any size, which are decoded and cropped when they are read."""
    any_depth: bool = True
    """Whether it takes pixels of other than 8 bits."""
    row_names: tuple[str, ...] = ()
    """What rows call it, where they do not by its own name; `,images=N` is left out."""
    in_classes: bool = False
    """Whether its rows have the accuracy by class, and confusions."""

    def tasks(self, images: TestImages) -> list[Task]:
        """What is measured of each network of a data set.

        Raises:
          UsageError: nothing can be measured, since files are missing.
        """
        raise NotImplementedError


def on_set(evaluator: str, test_set: "TestSet") -> Task:
    """The accuracy and calibration error on a published_sets.TestSet."""

    def measure(network, rows):
        images = test_set.load()
        logits = network.logits(images)
        correct = float((logits.argmax(axis=1) == images.labels).mean())
        errors = calibration.metrics(logits, images, network.ticket.temperature)
        return [("accuracy", correct, len(images)), *errors]

    return Task(evaluator, test_set.setting, "calibration_error", measure)
