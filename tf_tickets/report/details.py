"""What the page reads of run folders beside their summaries; a damaged file is named and left out."""

import collections
import math
import os
import typing
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas

from tf_tickets import own_networks, runs, storage
from tf_tickets.errors import StateError, UsageError
from tf_tickets.plotting import maps
from tf_tickets.report import tables
from tf_tickets.report.run_rows import MOST
from tf_tickets.settings import config as configs
from tf_tickets.settings import places

# These say where and how a run was made, not what its numbers depend on.
_OF_THE_MACHINE = (*places.FLAGS, "out", "progress", "tensorboard", "dry_run", "profile_steps")
_OF_THE_PAIR = ("seed", "order_seed", "subset_seed")
_UNUSABLE = (StateError, UsageError, ValueError, KeyError, TypeError, IndexError)


def sources(paths: Sequence[str], frame: pandas.DataFrame, problems: list[str]) -> dict[str, runs.RunFolder]:
    """The folders of the runs that a frame of `tables.collect` holds.

    Args:
      paths: those given to `collect`.
      frame: what it returned.
      problems: the lines it returned; folders named there are passed over.

    Returns:
      dict from run name to runs.RunFolder; runs that came from a CSV file are not in it.
    """
    known, folders = set(frame["run"]), {}
    for folder in (folder for path in paths if os.path.isdir(path) for folder in tables.run_folders(path)):
        name = runs.RunFolder(folder).name
        if name in known and not any(line.startswith(f"{folder} is left out") for line in problems):
            folders.setdefault(name, runs.RunFolder(folder))
    return folders


def tolerant(read: Callable[[], typing.Any], path: str, problems: list[str]) -> typing.Any:
    """What `read()` returns; None, and a line in `problems`, where the file at `path` is damaged."""
    try:
        return read()
    except _UNUSABLE as error:
        reason = str(error) if isinstance(error, (StateError, UsageError)) else f"{type(error).__name__}: {error}"
        problems.append(f"{path} is left out of the page: {reason}")
        return None


def number(row: dict[str, str], column: str, line: int, kind: Callable[[str], typing.Any] = float) -> typing.Any:
    """A cell of a CSV file as a number; ValueError names the row, the column and what stands there.

    Args:
      row: dict of text.
      column: the cell's.
      line: number of the row.
      kind: float or int.
    """
    text = row.get(column)
    try:
        # Other scripts' digits, and underscores, are no numbers that this program wrote.
        if not text or not text.isascii() or "_" in text:
            raise ValueError
        return kind(text)
    except (ValueError, OverflowError):
        raise ValueError(f"row {line}: {column} is {ascii(text)[:60]}") from None


def _within(row, column, line, low, high):
    value = number(row, column, line)
    if not low <= value <= high and not math.isnan(value):
        raise ValueError(f"row {line}: {column} is {row[column][:60]}")
    return value


def density_means(
    folders: Iterable[runs.RunFolder], rounds: Sequence[int], problems: list[str]
) -> pandas.DataFrame | None:
    """Density by layer and round, averaged over runs.

    Args:
      folders: RunFolders of one recipe.
      rounds: the rounds to read.
      problems: takes a line for each damaged file.

    Returns:
      A frame, one row per layer in network order and one column per round, fractions; None without any file.
    """
    of_runs = []
    for folder in folders:
        parts = {index: _layer_densities(folder.round(index).density, problems) for index in rounds}
        parts = [part.assign(round=index) for index, part in parts.items() if part is not None]
        of_runs += [pandas.concat(parts)] if parts else []
    same = [rows for rows in of_runs if list(rows["layer"].unique()) == list(of_runs[0]["layer"].unique())]
    return maps.mean_by_round(pandas.concat(same)) if same else None


def _layer_densities(path, problems):
    def read():
        rows = storage.read_csv(path)
        values = [_within(row, "density", line, 0.0, 1.0) for line, row in enumerate(rows, 1)]
        return pandas.DataFrame({"layer": [row["layer"] for row in rows], "value": values})

    return tolerant(read, path, problems) if os.path.exists(path) else None


def curves(
    folders: Iterable[runs.RunFolder], rounds: Sequence[int], problems: list[str]
) -> dict[int, pandas.DataFrame]:
    """Training curves averaged over runs.

    Args:
      folders: RunFolders of one recipe.
      rounds: the rounds to read.
      problems: takes a line for each damaged file.

    Returns:
      dict from round to a frame with the index epoch and the columns train_loss and test_accuracy (a fraction, NaN
      where an epoch was not evaluated); rounds without any file are missing.
    """
    by_round = {}
    for index in rounds:
        parts = [_epochs(folder.round(index).epochs, problems) for folder in folders]
        parts = [part for part in parts if part is not None and len(part)]
        if parts:
            by_round[index] = pandas.concat(parts).groupby(level=0).mean()
    return by_round


def _epochs(path, problems):
    def read():
        rows = storage.read_csv(path)
        lines = list(enumerate(rows, 1))
        columns = {
            name: [_within(row, name, line, *bounds) if row[name] else math.nan for line, row in lines]
            for name, bounds in (("train_loss", (-MOST, MOST)), ("test_accuracy", (0.0, 1.0)))
        }
        return pandas.DataFrame(columns, index=[int(_within(row, "epoch", line, 0, 1e9)) for line, row in lines])

    return tolerant(read, path, problems) if os.path.exists(path) else None


def examples(folder: runs.RunFolder, problems: list[str]) -> dict[str, np.ndarray] | None:
    """The arrays of the run's examples.npz, or None."""

    def read():
        arrays = storage.read_arrays(folder.examples)
        _check_pictures(arrays, "images", ("positions", "labels", "dense", "ticket"))
        if "mistakes" in arrays:
            names = ("positions", "labels", "predictions", "confidences")
            _check_pictures(arrays, "mistaken_images", [f"mistaken_{name}" for name in names])
        highest = max(int(arrays[name].max(initial=0)) for name in arrays if name.endswith(_OF_CLASSES))
        if highest >= len(arrays["classes"]):
            raise ValueError(f"class {highest} has no name")
        return {**arrays, "round": int(arrays["round"]), "total": int(arrays["total"])}

    return tolerant(read, folder.examples, problems) if os.path.exists(folder.examples) else None


_OF_CLASSES = ("labels", "dense", "ticket", "predictions")


def _check_pictures(arrays, images, names):
    if arrays[images].dtype != np.uint8 or arrays[images].ndim != 4:
        raise ValueError(f"{images} are not uint8 [n, height, width, channels]")
    if any(len(arrays[name]) != len(arrays[images]) for name in names):
        raise ValueError("its arrays differ in length")


def changed_settings(folder: runs.RunFolder, problems: list[str]) -> dict[str, str]:
    """Settings of a run that differ from the defaults, as dict from flag name to the flag as it is written.

    Data set and network are always there.
    """

    def read():
        config = configs.Config.from_flagfile(folder.config)
        values = config.values()
        network = own_networks.flag_of(config.network.model)
        return {
            name: network if network and name == "model" else option.format(values[name])
            for name, option in configs.options().items()
            if name not in (*_OF_THE_MACHINE, *_OF_THE_PAIR) and option.group != "command"
            and values[name] is not None and (values[name] != option.default or name in ("dataset", "model"))
        }  # fmt: skip

    return tolerant(read, folder.config, problems) or {}


def several_sources(folders: Iterable[runs.RunFolder]) -> str:
    """A sentence where runs that are shown together were made by several sources of one plugin; else nothing.

    Manifests that are damaged count for nothing: where the page lists versions, they are named.
    """
    counts = {}
    for folder in folders:
        for name, version in versions(folder, []).items():
            if name.startswith("plugin "):
                counts.setdefault(name, collections.Counter())[version] += 1
    return " ".join(
        f"These runs were made by {len(of_plugin)} sources of {name}: "
        f"{'; '.join(f'{count} by {version}' for version, count in of_plugin.items())}."
        for name, of_plugin in counts.items()
        if len(of_plugin) > 1
    )


def versions(folder: runs.RunFolder, problems: list[str]) -> dict[str, str]:
    """The versions and threads that a run's manifest.json records, as dict of text."""

    def read():
        manifest = storage.read_json(folder.manifest)
        facts = {name: str(value) for name, value in manifest.get("versions", {}).items()}
        return facts | {name: str(manifest[name]) for name in ("devices", "processor", "replicas") if name in manifest}

    return (tolerant(read, folder.manifest, problems) or {}) if os.path.exists(folder.manifest) else {}
