"""`evaluate`: accuracy, calibration, robustness to corruption, shift and attack, as rows beside each network."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

from tf_tickets import backend
from tf_tickets.columns import IN_PERCENT, aligned, measured
from tf_tickets.data import pipeline, sources
from tf_tickets.data.catalog import DataSet
from tf_tickets.data.sources import facts_of
from tf_tickets.errors import StopRequested, UsageError
from tf_tickets.evaluation import calibration, networks, subsample
from tf_tickets.evaluation.evaluator import Task, TestImages
from tf_tickets.export import origin
from tf_tickets.notices import say
from tf_tickets.registry import EVALUATORS, measured_by
from tf_tickets.settings.config import Config
from tf_tickets.settings.places import Place


def evaluate(paths: Sequence[str], config: Config, stop: Callable[[], bool] = lambda: False) -> list[dict]:
    """Evaluates networks and adds the rows to their evaluations.csv; what is there already is not computed again.

    Args:
      paths: run, round or ticket folders.
      config: a Config: its `command` says what to evaluate, `training` the attacks, `data.place` where data are.
      stop: function asked between evaluations; when true, StopRequested is raised.

    Returns:
      List of rows, dicts of text, of every network and evaluation asked for.

    Raises:
      UsageError, StateError, LockedError, StopRequested: see `errors`.
    """
    chosen = {subject.folder: subject for path in paths for subject in networks.subjects(path, config.command.which)}
    facts = {folder: (data_set_of(subject, config), place_of(subject, config)) for folder, subject in chosen.items()}
    tasks = {known: tasks_for(*known, config) for known in dict.fromkeys(facts.values())}
    rows = []
    start = functools.cache(lambda: backend.start(config.run))
    for folder, subject in chosen.items():
        with subject.locked():
            (data_set, place), todo = facts[folder], tasks[facts[folder]]
            network = networks.Network(
                subject.ticket, lambda data_set=data_set: data_set, start, place, subject.predictions
            )
            run_tasks(subject, network, todo, start=start, stop=stop)
            wanted = {(task.evaluator, task.setting) for task in todo}
            rows += [row for row in subject.rows() if (row["evaluator"], row["setting"]) in wanted]
    return rows


def place_of(subject: networks.Subject, config: Config) -> Place:
    """Where the images of a networks.Subject are: where the flags say, else where its run read them."""
    return origin.place(subject.source_run, subject.ticket, config.data.place)


def data_set_of(subject: networks.Subject, config: Config) -> DataSet:
    """The catalog.DataSet of a networks.Subject: pixels normalised as its ticket does it.

    Raises:
      UsageError: the user's own pictures are not there, or not as they were when the run was made.
    """
    facts, place = subject.ticket.data, place_of(subject, config)
    origin.check_given(subject.ticket, subject.source_run, place)
    data_set = facts_of(dataclasses.replace(config.data, dataset=facts["dataset"], **dataclasses.asdict(place)))
    if facts["image_shape"][2] == data_set.image_shape[2]:
        data_set = data_set.cropped_to(tuple(facts["image_shape"]))
    if data_set.classes != len(facts["labels"]) or list(data_set.image_shape) != list(facts["image_shape"]):
        raise UsageError(
            f"the pictures in {origin.shown(subject.ticket, place)} have {data_set.classes} classes of "
            f"{list(data_set.image_shape)}, the ticket {len(facts['labels'])} of {facts['image_shape']}: give its own"
        )
    origin.check_pictures(subject.ticket, subject.source_run, place, say)
    return dataclasses.replace(
        data_set, labels=tuple(facts["labels"]), mean=tuple(facts["mean"]), deviation=tuple(facts["deviation"])
    )


def run_tasks(
    subject: networks.Subject, network: networks.Network, tasks: list[Task], *, start: Callable[[], object],
    stop: Callable[[], bool],
) -> None:  # fmt: skip
    """Does the tasks whose rows are missing and adds them.

    Args:
      subject: a networks.Subject, whose lock is held.
      start: function called before the first one.
      stop: function asked between tasks; when true, StopRequested is raised.
    """
    for task in tasks:
        if not task.done(subject):
            if stop():
                raise StopRequested("stopped on request; finished rows are kept, run again to continue")
            start()
            subject.append(task.evaluator, task.setting, task.measured(network, subject.rows()))
        if task.after:
            task.after(subject)


def tasks_for(data_set: DataSet, place: Place, config: Config) -> list[Task]:
    """The evaluations that a configuration asks for on networks of one data set.

    Args:
      place: where its images are.

    Raises:
      UsageError: an evaluator is not defined for such images, or nothing is left to do, since files are missing.
    """
    chosen = [name for name in EVALUATORS if name in config.command.evaluators.split(",")]
    for name in config.command.evaluators.split(","):
        _check_pixels(data_set, name)

    @functools.cache
    def test():
        return pipeline.Images.of_test(sources.load(data_set.name, place))

    @functools.cache
    def fewer():
        wanted = config.command.test_images
        return test() if wanted is None else subsample.part(test(), wanted)

    images = TestImages(data_set, place, config, test, fewer)
    return [task for name in chosen for task in EVALUATORS[name].tasks(images)]


def _check_pixels(data_set, name):
    kind = None
    if data_set.encoded:
        kind = None if EVALUATORS[name].any_size else "pictures of any size"
    elif data_set.dtype != "uint8":
        kind = None if EVALUATORS[name].any_depth else "pixels of 16 bits"
    if kind:
        raise UsageError(f"--evaluators={name} is not defined for the {kind} of {data_set.name}: leave it out")


def table(rows: list[dict]) -> str:
    """The rows as text: one line per network, evaluator and setting; severities and classes are left to the file."""
    lines, columns = {}, ["accuracy", "calibration_error"]
    for row in rows:
        metric, measure = row["metric"], measured_by(row["evaluator"])
        known = metric in IN_PERCENT or metric == calibration.TEMPERATURE
        if ":" in row["setting"] or ":" in metric or not (known or measure.plain):
            continue
        columns += [] if metric in columns else [metric]
        key = row["run"], row["round"], f"{100 * float(row['density']):.2f} %", row["evaluator"], row["setting"]
        lines.setdefault(key, {"n": row["n"]})[metric] = measured(metric, float(row["value"]))
    head = ("run", "round", "density", "evaluator", "setting", *(name.replace("_", " ") for name in columns), "images")
    cells = [head] + [(*key, *(values.get(name, "") for name in columns), values["n"]) for key, values in lines.items()]
    return aligned(cells, "l")
