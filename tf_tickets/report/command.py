"""What the commands print and write about finished runs."""

import io
import os

import pandas

from tf_tickets import storage
from tf_tickets.analysis import statistics
from tf_tickets.errors import StateError, UsageError
from tf_tickets.report import details, evaluation_rows, naming, page, pairing, plots, rewinds, rivals, tables

_RULE = (
    "Compared at the last round, which stands for a claim only if it was fixed before the runs. Choosing the round by\n"
    "its test accuracy is not allowed: fix it in advance, or choose it on validation."
)


def report(paths, out=None):
    """Compares dense and ticket over all runs below `paths`; writes tables, figures and a page.

    The files are report.csv, report.parquet, paired.csv, accuracy.png, accuracy.svg, report.html, figures/*.svg, of
    several recipes rivals.csv, of several rewind points rewinds.csv, and evaluations.csv where `evaluate` or `analyze`
    looked at some.

    Args:
      paths: run folders, folders above them, CSV files of an earlier report, or folders that hold one and no runs.
      out: folder to write to; None means the first path, or the folder of the first path if that is a CSV.

    Returns:
      (text, problems): the text to print, and one line for each run that was left out.

    Raises:
      UsageError: no path, a path without any run, or an input that the report would overwrite with other rows.
      StateError: every run is damaged or unfinished, or the files cannot be written.
    """
    if not paths:
        raise UsageError("report needs at least one run folder, a folder above run folders, or a report.csv")
    paths = [tables.committed(path) for path in paths]
    if out is None:
        out = paths[0] if os.path.isdir(paths[0]) else os.path.dirname(os.path.abspath(paths[0]))
    frame, rows, folders, problems = _gathered(paths, out)
    tables.write_rows(frame, os.path.join(out, "report.csv"))
    missing = _write_parquet(frame, os.path.join(out, "report.parquet"))
    frame = pairing.pooled(frame)
    pairs = pairing.paired(frame)
    tables.write_table(pairs, os.path.join(out, "paired.csv"))
    title, names = plots.labels(frame)
    plots.accuracy_against_density(pairing.comparable(frame), os.path.join(out, "accuracy"), title)
    rewound = rewinds.compared(frame, rows)
    others = rewinds.without(frame, rows, rewound)
    against = rivals.compared(others)
    tabled = ["report.csv", *([] if missing else ["report.parquet"]), "paired.csv"]
    tabled += _write_or_remove(out, {
        "rivals.csv": against, "rewinds.csv": rewound, evaluation_rows.FILE: evaluation_rows.kept(rows),
    })  # fmt: skip
    parts = [_group_text(frame, pairs, digest, names[digest]) for digest in names] + _rivals_text(others, against)
    if not rewound.empty:
        parts.append(f"{rewinds.heading(rewound)}\n{tables.align(rewinds.cells(rewound))}")
    if not pairs.empty:
        parts.append(_RULE)
    files = page.write(frame, pairs, against, rewound, rows, folders, out, problems)
    parts.append(
        f"Wrote {', '.join(tabled)}, accuracy.png, accuracy.svg, report.html and {len(files) - 1} "
        f"figure{'s' if len(files) != 2 else ''} below figures to {out}"
    )
    return "\n\n".join(parts + missing), problems


def _gathered(paths, out):
    """What `report` reads, once it is known that nothing read would be lost; rows have the digests of `pooled`."""
    frame, problems = tables.collect(paths)
    if frame.empty:
        raise StateError("; ".join(problems))
    storage.check_writable(out)
    _refuse_overwriting(frame, os.path.join(out, "report.csv"), paths)
    folders = details.sources(paths, frame, problems)
    rows = evaluation_rows.gather(paths, folders, pairing.pooled(frame), problems)
    _refuse_losing(rows, os.path.join(out, evaluation_rows.FILE), paths)
    return frame, rows, folders, problems


def finish_run(folder, chosen):
    """Writes table.csv, accuracy.png and accuracy.svg into a run folder, unless it cannot be written.

    Args:
      folder: a runs.RunFolder with at least one complete round.
      chosen: index of the round that became the ticket.

    Returns:
      The table as text, and the lines that name the files.

    Raises:
      StateError: the run's state is damaged, or the files cannot be written.
      UsageError: its config.cfg is damaged.
      ValueError: `chosen` is no complete round.
    """
    frame = tables.run_table(folder, chosen)
    known = naming.settings(folder)
    text = tables.format_table(frame)
    if not os.access(folder.folder, os.W_OK | os.X_OK):  # what is there of them is of its end
        return text
    tables.write_table(frame, folder.table)
    title, picture = plots.labels(pandas.DataFrame([known]))[0], folder.path("accuracy")
    plots.accuracy_against_density(pairing.comparable(frame), picture, title)
    return f"{text}\ntable: {folder.table}\nfigure: {picture}.png and {picture}.svg"


def _write_parquet(frame, path):
    """Writes the rows as Parquet; returns a line that says so where the library for it is not installed."""
    data = io.BytesIO()
    try:
        frame.to_parquet(data, index=False)
    except ImportError:
        return ["report.parquet is left out: it needs pyarrow; pip install pyarrow"]
    storage.write_bytes(os.path.abspath(path), data.getvalue())
    return []


def _write_or_remove(out, found):
    """Writes the tables that have rows, removes those of an earlier report for the others; returns what was written."""
    for name, table in found.items():
        if table.empty:
            storage.remove(os.path.join(os.path.abspath(out), name))
        else:
            tables.write_table(table, os.path.join(out, name))
    return [name for name, table in found.items() if not table.empty]


def _refuse_losing(rows, target, paths):
    """As `_refuse_overwriting`, of what was measured."""
    if os.path.realpath(target) in map(os.path.realpath, evaluation_rows.beside(paths)):
        lost = evaluation_rows.missing(rows, target)
        if lost != 0:
            what = "is damaged" if lost is None else f"would lose {lost} rows of runs that are not reported"
            raise UsageError(f"{target} {what} and would be replaced: restore it, or name another folder with --out")


def _refuse_overwriting(frame, target, paths):
    same = [path for path in paths if os.path.exists(target) and os.path.realpath(path) == os.path.realpath(target)]
    if same and not tables.read_rows(target).equals(frame):
        raise UsageError(f"{same[0]} is read and would be replaced by other rows: name another folder with --out")


def _group_text(frame, pairs, digest, name):
    """Heading, table by round and headline sentence of one digest."""
    mine, pairs = frame[frame["digest"] == digest], pairs[pairs["digest"] == digest].set_index("round")
    group = pairing.comparable(mine)
    found = group["run"].nunique()
    heading = f"{group['run'].iloc[0].split('/')[0]}, {found} run{'s' if found != 1 else ''}"
    if name != digest:
        heading += f": {name}"
    rounds = group.groupby("round")[["density", "test_accuracy"]].mean()
    rows = [pairs.loc[index] if index in pairs.index else None for index in rounds.index]
    text = tables.align({
        "round": [str(index) for index in rounds.index],
        "density": map(tables.percent, rounds["density"]),
        "runs": [str(count) for count in group.groupby("round")["run"].nunique()],
        "mean test accuracy": map(tables.percent, rounds["test_accuracy"]),
        "to dense, points": ["" if row is None else _points(row["difference"]) for row in rows],
        "95 % interval": ["" if row is None else tables.interval(row) for row in rows],
        "pairs": ["" if row is None else str(int(row["n"])) for row in rows],
        "p": ["" if row is None else statistics.probability(row["p_value"]) for row in rows],
    })  # fmt: skip
    short = sorted(set(mine["round"]) - set(group["round"]))
    left_out = f"Not compared, since shortened: rounds {', '.join(map(str, short))}\n" if short else ""
    return f"{heading}\n{text}\n{left_out}{_headline(frame, digest, rounds, found)}"


def _rivals_text(frame, against):
    mine, others = rivals.subjects(frame)
    parts, names = [], plots.labels(frame)[1]
    if not against.empty:
        first = mine["run"].iloc[0].split("/")[0]
        parts.append(f"Ticket of {first} against its rivals\n{tables.align(rivals.cells(against))}")
    apart = [names[digest] for digest in others if digest not in set(against["rival"])]
    if apart:
        parts.append(f"Not compared with the ticket, since no (seed, subset_seed) is in common: {', '.join(apart)}")
    return parts


def _headline(frame, digest, rounds, found):
    last = rounds.index[-1]
    result = pairing.pair(frame, digest, last) if last else None
    if result is None:
        return "No ticket to compare: no run has both a dense round 0 and a later round."
    reached = frame[(frame["digest"] == digest) & (frame["round"] == last)]["run"].nunique()
    part = "" if reached == found else f" (reached by {reached} of {found} runs)"
    part = " (of each run its own)" if part and naming.is_refit(digest) else part
    return f"Last round {last}{part}, density {tables.percent(result[0])}: {result[3].sentence()}."


def _points(value):
    return statistics.points(value / 100, 2)
