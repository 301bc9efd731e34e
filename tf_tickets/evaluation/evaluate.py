"""`evaluate`: accuracy, calibration, robustness to corruption, shift and attack, as rows beside each network."""

import dataclasses
import functools

import numpy as np

from tf_tickets import backend
from tf_tickets.columns import aligned
from tf_tickets.data import pipeline, sources
from tf_tickets.data.sources import facts_of
from tf_tickets.errors import StopRequested, UsageError
from tf_tickets.evaluation import (
    accuracy,
    attacks,
    calibration,
    corruptions,
    files,
    generated,
    networks,
    predictions,
    subsample,
)
from tf_tickets.export import origin
from tf_tickets.notices import say

PGD_STEPS = 10


@dataclasses.dataclass(frozen=True)
class Task:
    """One evaluation of one network.

    Attributes:
      evaluator, setting: as in its rows.
      last: the metric by whose row the task is known to be done.
      measure: function (subjects.Network, rows so far) -> list of (metric, value, n).
      after: function (subjects.Subject), called when the rows are there, new or old; None for nothing.
    """

    evaluator: str
    setting: str
    last: str
    measure: object
    after: object = None

    def done(self, subject):
        """Whether the rows, and what else the task leaves, are on disk."""
        there = any(
            (row["evaluator"], row["setting"], row["metric"]) == (self.evaluator, self.setting, self.last)
            for row in subject.rows()
        )
        return there and (self.after is None or not subject.predictions or predictions.are_kept(subject.predictions))


def evaluate(paths, config, stop=lambda: False):
    """Evaluates networks and adds the rows to their evaluations.csv; what is there already is not computed again.

    Args:
      paths: run, round or ticket folders.
      config: a Config: its `command` says what to evaluate, `training` the attacks, `data.data_dir` where data are.
      stop: function asked between evaluations; when true, StopRequested is raised.

    Returns:
      List of rows, dicts of text, of every network and evaluation asked for.

    Raises:
      UsageError, StateError, LockedError, StopRequested: see `errors`.
    """
    chosen = {one.folder: one for path in paths for one in networks.subjects(path, config.command.which)}
    facts = {folder: (data_set_of(one, config), data_dir_of(one, config)) for folder, one in chosen.items()}
    tasks = {known: tasks_for(*known, config) for known in dict.fromkeys(facts.values())}
    rows = []
    start = functools.cache(lambda: backend.start(config.run))
    for folder, one in chosen.items():
        with one.locked():
            mine, (data_set, data_dir) = tasks[facts[folder]], facts[folder]
            network = networks.Network(one.ticket, lambda found=data_set: found, start, one.predictions, data_dir)
            run_tasks(one, network, mine, start, stop)
            wanted = {(task.evaluator, task.setting) for task in mine}
            rows += [row for row in one.rows() if (row["evaluator"], row["setting"]) in wanted]
    return rows


def data_dir_of(subject, config):
    """Where the images of a subjects.Subject are: in `--data_dir`, else where its run read them."""
    return origin.data_dir(subject.source_run, config.data.data_dir)


def data_set_of(subject, config):
    """The catalog.DataSet of a subjects.Subject: pixels normalised as its ticket does it.

    Raises:
      UsageError: the user's own pictures are not there, or not as they were when the run was made.
    """
    facts, data_dir = subject.ticket.data, data_dir_of(subject, config)
    if sources.of(facts["dataset"]).of_folder and data_dir is None:
        origin.check_pictures(subject.ticket, subject.source_run, None)
    data_set = facts_of(dataclasses.replace(config.data, dataset=facts["dataset"], data_dir=data_dir))
    if data_set.classes != len(facts["labels"]) or list(data_set.image_shape) != list(facts["image_shape"]):
        raise UsageError(
            f"the pictures in --data_dir={data_dir} have {data_set.classes} classes of "
            f"{list(data_set.image_shape)}, the ticket {len(facts['labels'])} of {facts['image_shape']}: give its own"
        )
    origin.check_pictures(subject.ticket, subject.source_run, data_dir, say)
    return dataclasses.replace(
        data_set, labels=tuple(facts["labels"]), mean=tuple(facts["mean"]), deviation=tuple(facts["deviation"])
    )


def run_tasks(subject, network, tasks, start, stop):
    """Does the tasks whose rows are missing and adds them.

    Args:
      subject: a subjects.Subject, whose lock is held.
      network: its subjects.Network.
      tasks: list of Task.
      start: function called before the first one.
      stop: function asked between tasks; when true, StopRequested is raised.
    """
    for task in tasks:
        if not task.done(subject):
            if stop():
                raise StopRequested("stopped on request; finished rows are kept, run again to continue")
            start()
            subject.append(task.evaluator, task.setting, task.measure(network, subject.rows()))
        if task.after:
            task.after(subject)


def tasks_for(data_set, data_dir, config):
    """The evaluations that a configuration asks for on networks of one data set.

    Args:
      data_set: a catalog.DataSet.
      data_dir: where its images are; see data.sources.data_root.
      config: a Config.

    Raises:
      UsageError: nothing is left to do, since files are missing.
    """
    wanted = config.command.evaluators.split(",")
    _check_pixels(data_set, wanted)

    @functools.cache
    def test():
        return pipeline.Images.of_test(sources.load(data_set.name, data_dir))

    @functools.cache
    def fewer():
        return subsample.part(test(), count)

    count = config.command.test_images
    chosen = test if count is None else fewer
    tasks = []
    if "clean" in wanted:
        clean = functools.partial(_clean, test=test, data_set=data_set)
        examples = functools.partial(_examples, test=test, data_set=data_set)
        tasks.append(Task("clean", "test", "calibration_error", clean, examples))
    if "corruptions" in wanted:
        tasks += _corruptions(data_set, data_dir, chosen, count)
    if "shift" in wanted:
        found, missing = files.shifted(data_set, data_dir)
        if not found and wanted == ["shift"]:
            raise UsageError(f"--evaluators=shift: {'; '.join(missing)}")
        for line in missing:
            say(f"shift: {line}")
        tasks += [_on_set("shift", one) for one in found]
    for kind in ("fgsm", "pgd"):
        if kind in wanted:
            attack = attack_of(kind, config)
            measure = functools.partial(_attacked, test=chosen, attack=attack)
            tasks.append(Task(subsample.named(kind, count), attack.setting, "accuracy", measure))
    return tasks


def _check_pixels(data_set, wanted):
    refused = {"corruptions"} if data_set.encoded else {"corruptions", "fgsm", "pgd"}
    odd = [name for name in wanted if name in refused]
    if odd and (data_set.encoded or data_set.dtype != "uint8"):
        kind = "pictures of any size" if data_set.encoded else "pixels of 16 bits"
        raise UsageError(f"--evaluators={odd[0]} is not defined for the {kind} of {data_set.name}: leave it out")


def attack_of(kind, config):
    """The attacks.Attack that the settings describe; pgd takes 10 steps where attack_steps has its default of 1."""
    training = config.training
    if kind == "fgsm":
        return attacks.Attack("fgsm", training.attack_eps)
    steps = PGD_STEPS if training.attack_steps == 1 else training.attack_steps
    return attacks.Attack("pgd", training.attack_eps, training.attack_step, steps, config.command.restarts)


def _clean(network, rows, test, data_set):
    images, labels = test(), data_set.labels
    logits = network.logits(images)
    if network.predictions:
        predictions.keep(network.predictions, logits, images.labels)
    found = accuracy.metrics(logits, images.labels, data_set.classes, network.ticket.settings["loss"])
    metrics = [(name, value, len(images)) for name, value in found.items()] + [_calibration(logits, images)]
    counts = calibration.confusion(logits, images.labels, data_set.classes)
    sizes = counts.sum(axis=1)
    metrics += [
        (f"accuracy:{labels[i]}", counts[i, i] / sizes[i], int(sizes[i])) for i in range(len(labels)) if sizes[i]
    ]
    return metrics + [
        (f"confusion:{labels[i]}>{labels[j]}", int(counts[i, j]), int(sizes[i])) for i, j in np.argwhere(counts)
    ]


def _examples(subject, test, data_set):
    predictions.write_examples(subject.run, test, data_set)


def _calibration(logits, images):
    correct = logits.argmax(axis=1) == images.labels
    error = calibration.expected_calibration_error(calibration.confidences(logits), correct)
    return "calibration_error", error, len(images)


def _on_set(evaluator, test_set):
    def measure(network, rows):
        images = test_set.load()
        logits = network.logits(images)
        correct = float((logits.argmax(axis=1) == images.labels).mean())
        return [("accuracy", correct, len(images)), _calibration(logits, images)]

    return Task(evaluator, test_set.setting, "calibration_error", measure)


def _attacked(network, rows, test, attack):
    images = test()
    logits = attacks.logits_of(network.model, images, network.data_set, attack, strategy=network.strategy)
    return [("accuracy", float((logits.argmax(axis=1) == images.labels).mean()), len(images))]


def _corruptions(data_set, data_dir, test, count):
    """Official files where they are, else generated images under their own name; then means of what is whole."""
    sets = files.corrupted(data_set, data_dir)
    if sets:
        evaluator = files.CORRUPTED[data_set.name].lower().replace("-", "_").replace("cifar_", "cifar")
        standard, every = files.STANDARD, files.ALL
        sets = sets if count is None else [subsample.limited(one, count) for one in sets]
    else:
        evaluator, sets = "generated-corruptions", generated.corrupted(data_set, data_dir, test, say)
        every = corruptions.names(data_set.image_shape[2])
        standard = tuple(name for name in every if corruptions.CORRUPTIONS[name].standard)
        if len(every) < len(corruptions.CORRUPTIONS):
            left = ", ".join(name for name in corruptions.CORRUPTIONS if name not in every)
            say(f"corruptions: {left} changes nothing in images of one channel and is left out")
    evaluator = subsample.named(evaluator, count)
    tasks = [_on_set(evaluator, one) for one in sets]
    there = {one.setting for one in sets}
    for title, names in ((f"standard_{len(standard)}", standard), (f"all_{len(every)}", every)):
        settings = [f"{name}:{severity}" for name in names for severity in corruptions.SEVERITIES]
        if there >= set(settings):
            mean = functools.partial(_mean, evaluator=evaluator, settings=frozenset(settings))
            tasks.append(Task(evaluator, title, "calibration_error", mean))
        else:
            lacking = sorted({name.split(":")[0] for name in set(settings) - there})
            say(f"{evaluator}: no mean {title}, since {', '.join(lacking)} is missing or not whole")
    return tasks


def _mean(network, rows, evaluator, settings):
    mine = [row for row in rows if row["evaluator"] == evaluator and row["setting"] in settings]
    found = []
    for metric in ("accuracy", "calibration_error"):
        parts = [row for row in mine if row["metric"] == metric]
        value = float(np.mean([float(row["value"]) for row in parts]))
        found.append((metric, value, sum(int(row["n"]) for row in parts)))
    return found


def table(rows):
    """The rows as text: one line per network, evaluator and setting; severities and classes are left to the file."""
    lines = {}
    for row in rows:
        if ":" not in row["setting"] and row["metric"] in ("accuracy", "calibration_error"):
            key = row["run"], row["round"], f"{100 * float(row['density']):.2f} %", row["evaluator"], row["setting"]
            lines.setdefault(key, {"n": row["n"]})[row["metric"]] = f"{100 * float(row['value']):.2f} %"
    head = ("run", "round", "density", "evaluator", "setting", "accuracy", "calibration error", "images")
    cells = [head] + [
        (*key, found.get("accuracy", ""), found.get("calibration_error", ""), found["n"])
        for key, found in lines.items()
    ]
    return aligned(cells, "l")
