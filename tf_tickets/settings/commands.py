"""The commands in one line each, and which flags and paths each takes."""

import os
import sys

from tf_tickets import locks
from tf_tickets.errors import UsageError
from tf_tickets.registry import CONTROLS
from tf_tickets.settings import config as configs
from tf_tickets.settings.options import ANSWERS, EXPORTS, SHEETS

SUMMARIES = {
    "imp": "run or continue the rounds (the default)",
    "train": "one round: dense, or --ticket=DIR retrained, or a --control",
    "pretrain": "a self-supervised backbone (SimCLR) from unlabelled images, for --pretrained",
    "evaluate": "PATH...: accuracy of run, round or ticket folders under --evaluators, as rows beside them",
    "analyze": "PATH... --what=density,...: rows, tables and figures of why; --what=augment or corruptions: a sheet",
    "report": "PATH...: one table and figure of all runs below the paths",
    "export": "PATH: a ticket, or a run's, as --format=ticket,runtime,tflite,... into a folder beside it, or --out=DIR",
    "predict": "TICKET IMAGE...: labels and probabilities of picture files and folders; - is standard input",
    "verify": "TICKET...: check every hash, count and invariant of a ticket",
    "prepare": "DATASET --archive=FILE: build the data set's folder from an archive",
    "sweep": "--sweep='FIELD=A,B;FIELD=0..4': every combination as a run, unless finished, here or by --engine",
}


# What keeps a run folder to itself from its beginning.
_LOCKING = ("imp", "train", "pretrain", "sweep")


def check_command(command, config):
    """Raises UsageError for flags that do not belong to a command, and for paths that are not there."""
    if command in _LOCKING and not config.run.dry_run:
        locks.check(command)
    _check_sweep(command, config.command)
    for name in ("latex", "pdf"):
        if getattr(config.command, name) and command != "report":
            raise UsageError(f"--{name} belongs to report, not {command}")
    if config.run.strategy == "multi_worker" and command not in ("imp", "train"):
        raise UsageError(f"--strategy=multi_worker belongs to imp and train, not {command}")
    if command == "sweep":
        return  # the other flags are its runs', which are checked one by one
    pruning, given = config.pruning, config.command
    usual, training = configs.Training(), config.training
    attacks = [n for n in ("attack_eps", "attack_step", "attack_steps") if getattr(training, n) != getattr(usual, n)]
    rules = [
        (pruning.ticket is not None and command != "train",
         f"--ticket belongs to train, not {command}: python -m tf_tickets.main train --ticket=DIR"),
        (pruning.ticket is not None and not os.path.isdir(pruning.ticket),
         f"--ticket={pruning.ticket} is no folder; give a ticket or round folder"),
        (config.network.pretrained is not None and not os.path.isfile(config.network.pretrained),
         f"--pretrained={config.network.pretrained} is no file; give a .safetensors, .npz, .h5 or .pth"),
        (given.archive is not None and command != "prepare", f"--archive belongs to prepare, not {command}"),
        (config.run.dry_run and command not in ("imp", "train", "pretrain"),
         f"--dry_run belongs to imp, train, pretrain and sweep, not {command}"),
        (command == "analyze" and given.what is None,
         "analyze needs --what=density,similarity,... with run folders, or --what=augment or corruptions alone"),
        (command != "analyze" and given.what is not None, f"--what belongs to analyze, not {command}"),
        (command == "prepare" and given.archive is None, "prepare needs --archive=FILE: the archive to read"),
        (attacks and command in ("imp", "train") and not training.adversarial,
         f"--{attacks[0] if attacks else ''} belongs to --adversarial, which is not set"),
    ]  # fmt: skip
    for broken, message in rules:
        if broken:
            raise UsageError(message)
    _check_format(command, given)
    _check_evaluate(command, config, attacks)
    _check_control(command, config.pruning)


def check_analyze(paths, given):
    """Raises UsageError for paths and flags that `--what` does not take."""
    usual, asked = configs.Command(), given.what.split(",")
    pair = "stability" in asked and len(paths) != 2
    rules = [
        (given.what in SHEETS and paths, f"--what={given.what} takes no path: remove {paths[0] if paths else ''}"),
        (given.what not in SHEETS and not paths, f"analyze --what={given.what} needs a path: {SUMMARIES['analyze']}"),
        ("overlap" in asked and len(paths) < 2, "--what=overlap compares masks: give two paths or more"),
        (pair, f"--what=stability compares two runs from one rewind point: give two paths, not {len(paths)}"),
    ]
    rules += [
        (getattr(given, name) != getattr(usual, name) and "probe" not in asked,
         f"--{name} belongs to --what=probe, not {given.what}") for name in ("probe", "probe_images")
    ]  # fmt: skip
    for broken, message in rules:
        if broken:
            raise UsageError(message)


def _check_format(command, given):
    accepted = {"export": EXPORTS, "predict": ANSWERS}.get(command, ())
    if given.format is not None and not set(given.format.split(",")) <= set(accepted):
        if not accepted:
            raise UsageError(f"--format belongs to export and predict, not {command}")
        raise UsageError(f"--format={given.format}: {command} takes {', '.join(accepted)}")
    if given.top_k != configs.Command().top_k and command != "predict":
        raise UsageError(f"--top_k belongs to predict, not {command}")


def _check_sweep(command, given):
    if command == "sweep" and given.sweep is None:
        raise UsageError("sweep needs --sweep='FIELD=A,B;FIELD=0..4', or --sweep=FILE with one field a line")
    usual, engine = configs.Command(), given.engine
    engines = {
        "sweep": ("process", "ray", "slurm"), "engine": ("process", "ray", "slurm"), "workers": ("process",),
        "address": ("ray",), "cpus_per_run": ("ray", "slurm"), "gpus_per_run": ("ray", "slurm"),
    }  # fmt: skip
    for name, users in engines.items():
        if getattr(given, name) == getattr(usual, name):
            continue
        if command != "sweep":
            raise UsageError(f"--{name} belongs to sweep, not {command}")
        if engine not in users:
            raise UsageError(f"--{name} belongs to --engine={' or '.join(users)}, not {engine}")
    if engine == "ray" and not sys.platform.startswith("linux"):
        raise UsageError("--engine=ray needs Linux, whose kernel ends a run with its worker; leave --engine out here")
    if engine == "slurm" and (given.gpus_per_run or 0) % 1:
        raise UsageError(f"--gpus_per_run={given.gpus_per_run:g}: Slurm gives whole GPUs; --engine=ray parts them")


def _check_evaluate(command, config, attacks):
    usual, chosen = configs.Command(), config.command
    own = ("evaluators", "which", "restarts", "test_images")
    given = [name for name in own if getattr(chosen, name) != getattr(usual, name)]
    probes = [name for name in ("probe", "probe_images") if getattr(chosen, name) != getattr(usual, name)]
    if probes and command != "analyze":
        raise UsageError(f"--{probes[0]} belongs to analyze --what=probe, not {command}")
    if command != "evaluate":
        given = [name for name in given if name != "which" or command != "analyze"]
        if given:
            raise UsageError(f"--{given[0]} belongs to evaluate, not {command}")
        return
    asked = chosen.evaluators.split(",")
    for name in [*attacks, *given]:
        users = {
            "attack_eps": ("fgsm", "pgd"), "evaluators": asked, "which": asked,
            "test_images": ("corruptions", "fgsm", "pgd"),
        }.get(name, ("pgd",))  # fmt: skip
        if not set(users) & set(asked):
            raise UsageError(f"--{name} belongs to --evaluators={' or '.join(users)}, not {chosen.evaluators}")


def _check_control(command, pruning):
    place = CONTROLS[pruning.control].place
    here = command if command == "imp" else f"train {'without --ticket' if pruning.ticket is None else '--ticket=DIR'}"
    if command in ("imp", "train") and place not in (None, here):
        raise UsageError(f"--control={pruning.control} belongs to {place}, not {here}")
