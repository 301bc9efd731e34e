"""What the commands print and write about finished runs."""

import io
import os
import shlex
import typing
from collections.abc import Sequence

import pandas

from tf_tickets import leftovers, runs, storage
from tf_tickets.columns import percent
from tf_tickets.errors import StateError, UsageError
from tf_tickets.report import (
    data_sets,
    details,
    ensembles,
    evaluation_rows,
    exports,
    more_pairs,
    naming,
    next_formats,
    page,
    pairing,
    papers,
    plots,
    probes,
    rewinds,
    sentences,
    tables,
    test_images,
)
from tf_tickets.settings.config import Config

_RULE = (
    "Compared at the last round, which stands for a claim only if it was fixed before the runs. Choosing the round by\n"
    "its test accuracy is not allowed: fix it in advance, or choose it on validation."
)


def report(
    paths: Sequence[str], out: str | None = None, latex: bool = False, pdf: bool = False
) -> tuple[str, list[str]]:
    """Compares dense and ticket over all runs below `paths`; writes tables, figures and a page.

    The files are report.csv, report.parquet, paired.csv, accuracy.png, accuracy.svg (of several data sets one of each,
    accuracy-NAME), report.html, figures/*.svg, of several recipes rivals.csv, of linear probes probes.csv, of several
    rewind points rewinds.csv, of ensembles ensembles.csv, of exported files exports.csv, and evaluations.csv where
    `evaluate` or `analyze` looked at some; with `latex` also paired.tex, rivals.tex, rewinds.tex and evaluations.tex.

    Args:
      paths: run folders, folders above them, CSV files of an earlier report, or folders that hold one and no runs.
      out: folder to write to; None means the first path, or the folder of the first path if that is a CSV.
      latex: whether to write the tables as LaTeX too.
      pdf: whether to write the figures as PDF too.

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
    frame, names = test_images.counted(frame, folders), plots.labels(frame)[1]
    accuracies = data_sets.draw_accuracies(frame, out, ("png", "svg", "pdf") if pdf else ("png", "svg"))
    rewound = rewinds.compared(frame, rows)
    rival_frame = rewinds.without(frame, rows, rewound)
    against, joined = data_sets.rivals_of(rival_frame), ensembles.gather(paths, problems)
    probed, exported = probes.compared(frame), exports.gather(paths, folders, problems)
    tabled = ["report.csv", *([] if missing else ["report.parquet"]), "paired.csv"]
    tabled += _write_or_remove(out, {
        "rivals.csv": against, "probes.csv": probed, "rewinds.csv": rewound, "ensembles.csv": joined,
        "exports.csv": exported, evaluation_rows.FILE: evaluation_rows.kept(rows),
    })  # fmt: skip
    if latex:
        tabled += papers.write(frame, pairs, against=against, rewound=rewound, rows=rows, out=out)
    apart = data_sets.left_out(rival_frame, against)
    parts = [_group_text(frame, pairs, digest, names[digest], folders) for digest in names]
    parts += [*data_sets.rivals_text(rival_frame, against), *([apart] if apart else [])]
    parts += [
        f"{heading}\n{tables.align(probes.cells(of_probe))}" for heading, of_probe in probes.groups(probed, frame)
    ]
    if not rewound.empty:
        parts.append(f"{rewinds.heading(rewound)}\n{tables.align(rewinds.cells(rewound))}")
    if not joined.empty:
        parts.append(f"Ensembles\n{tables.align(ensembles.cells(joined))}")
    if not exported.empty:
        parts.append(f"Exported files\n{tables.align(exports.cells(exported))}")
    if not pairs.empty:
        parts.append(_RULE)
    files = page.write(
        frame, pairs, against=against, rewound=rewound, rows=rows, folders=folders, out=out, problems=problems,
        apart=apart, pdf=pdf, joined=joined, probed=probed, exported=exported,
    )  # fmt: skip
    written = [*tabled, *accuracies, "report.html"]
    parts.append(
        f"Wrote {', '.join(written)} and {len(files) - 1} figure{'s' if len(files) != 2 else ''} below figures to {out}"
    )
    return "\n\n".join(parts + missing + _earlier(out, latex, pdf)), problems


def _gathered(paths, out):
    """What `report` reads, once it is known that nothing read would be lost; rows have the digests of `pooled`."""
    paths = [path for path in paths if not ensembles.alone(path)] or paths
    frame, problems = tables.collect(paths)
    if frame.empty:
        raise StateError("; ".join(problems))
    storage.check_writable(out)
    storage.subfolder(out, "figures")
    leftovers.remove_forsaken(out)
    _refuse_overwriting(frame, os.path.join(out, "report.csv"), paths)
    folders = details.sources(paths, frame, problems)
    rows = evaluation_rows.gather(paths, folders, pairing.pooled(frame), problems)
    _refuse_losing(rows, os.path.join(out, evaluation_rows.FILE), paths)
    return frame, rows, folders, problems


def print_run(result: typing.Any) -> None:
    """Prints what came of a run: an experiments.imp.Result, or None of a worker that is not the chief."""
    if result is None:
        return
    folder = runs.RunFolder(result.folder)
    print(finish_run(folder, result.chosen, folder.rival if result.verdict else None))
    if os.path.exists(result.best.members):
        print(_members(result.best))
    if result.refits:
        again = "dense network" if result.exports_rival else "rounds"
        print(f"\nThe same {again} on all images of the subset, of which the ticket is:")
        print(finish_run(result.home, result.exported))
    if os.path.exists(result.best.calibration):
        fitted = storage.read_sealed(result.best.calibration)
        print(
            f"temperature: {fitted['temperature']:.4g}, by {fitted['method']} on {fitted['images']:,} images, whose "
            f"negative log-likelihood it takes from {fitted['loss_before']:.4f} to {fitted['loss']:.4f}"
        )
    print(_ending(result, folder))


def _members(soup):
    """The accuracies of the trainings that a soup averages."""
    accuracies = [float(row["test_accuracy"]) for row in storage.read_csv(soup.members)]
    return (
        f"a soup of {len(accuracies)} trainings, whose test accuracies are {', '.join(map(percent, accuracies))}, on "
        f"average {percent(sum(accuracies) / len(accuracies))}: {soup.members}"
    )


def _ending(result, folder):
    """The verdict on the chosen round and its rival where there is one, what is exported, and what to do with it."""
    verdict, config = result.verdict, Config.from_flagfile(folder.config)
    lines = ["", verdict.sentence()] if verdict else []
    if verdict and verdict.part == "test":
        lines.append(
            "Test images cannot choose a network and judge it too: the ticket is that of --choose, whatever they say; "
            "hold images out with --validation=0.2 and the better one becomes the ticket."
        )
    kind = "the dense network" if result.exports_rival else f"round {result.chosen}"
    ticket, pictures = shlex.quote(folder.ticket), "PICTURE.png"
    document = os.path.join(folder.ticket, runs.DOCUMENT)
    formats = ",".join(next_formats.of(storage.read_json(document) if os.path.exists(document) else {}))
    program = "python -m tf_tickets.main"
    if config.run.plugins:
        program += f" --plugins={shlex.quote(config.run.plugins)}"
    return "\n".join([
        *lines, f"ticket: {folder.ticket}, {kind}",
        f"next: {program} predict {ticket} {pictures}",
        f"      {program} export {ticket} --format={formats}",
    ])  # fmt: skip


def finish_run(folder: runs.RunFolder, chosen: int, rival: runs.RunFolder | None = None) -> str:
    """Writes table.csv, accuracy.png and accuracy.svg into a run folder, unless it cannot be written.

    Args:
      folder: a runs.RunFolder with at least one complete round.
      chosen: index of the round that became the ticket.
      rival: the folder of its dense rival, which gets a table.csv of its own; None without.

    Returns:
      The table as text, and the lines that name the files.

    Raises:
      StateError: the run's state is damaged, or the files cannot be written.
      UsageError: its config.cfg is damaged.
      ValueError: `chosen` is no complete round.
    """
    frame = tables.run_table(folder, chosen)
    known = naming.settings(folder)
    rival_frame = None if rival is None else tables.run_table(rival)
    text = tables.format_table(frame, rival_frame)
    if not os.access(folder.folder, os.W_OK | os.X_OK):  # what is there of them is of its end
        return text
    tables.write_table(frame, folder.table)
    if rival is not None:
        tables.write_table(rival_frame, rival.table)
    title, picture = plots.labels(pandas.DataFrame([known]))[0], folder.path("accuracy")
    recipe = {name: known[name] for name in ("control", "criterion", "scope")}
    plots.accuracy_against_density(pairing.comparable(frame).assign(**recipe), picture, title)
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


def _earlier(out, latex, pdf):
    """A line that names the files of an earlier report that this one does not write anew."""
    stale = [] if latex else [name for name in papers.FILES if os.path.exists(os.path.join(out, name))]
    stale += [] if pdf or not os.path.exists(os.path.join(out, "accuracy.pdf")) else ["accuracy.pdf"]
    text = "Of an earlier report, and not written anew without --latex and --pdf"
    return [f"{text}: {', '.join(stale)}"] if stale else []


def _write_or_remove(out, files):
    """Writes the tables that have rows, removes those of an earlier report for the others; returns what was written."""
    for name, table in files.items():
        if table.empty:
            storage.remove(os.path.join(os.path.abspath(out), name))
        else:
            tables.write_table(table, os.path.join(out, name))
    return [name for name, table in files.items() if not table.empty]


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


def _group_text(frame, pairs, digest, name, folders):
    """Heading, table by round and headline sentence of one digest."""
    rows = frame[frame["digest"] == digest]
    group = pairing.comparable(rows)
    run_count = group["run"].nunique()
    heading = f"{group['run'].iloc[0].split('/')[0]}, {run_count} run{'s' if run_count != 1 else ''}"
    if name != digest:
        heading += f": {name}"
    of_runs = [folders[run] for run in dict.fromkeys(group["run"]) if run in folders]
    if mixed := details.several_sources(of_runs):
        heading += f"\n{mixed}"
    short = sorted(set(rows["round"]) - set(group["round"]))
    left_out = f"Not compared, since shortened: rounds {', '.join(map(str, short))}\n" if short else ""
    text = tables.align(pairing.cells(group, pairs[pairs["digest"] == digest]))
    text += f"\n{pairing.MARK_NOTE}" if pairing.is_marked(group) else ""
    last = int(group["round"].max())
    result = pairing.pair(frame, digest, last) if last else None
    line = more_pairs.command(rows, folders, result[3]) if result else ""
    more = f"\n{sentences.number(sentences.ENOUGH).capitalize()} pairs, which a claim needs: {line}" if line else ""
    return f"{heading}\n{text}\n{left_out}{_headline(frame, digest, last, run_count)}{more}"


def _headline(frame, digest, last, run_count):
    result = pairing.pair(frame, digest, last) if last else None
    if result is None:
        return sentences.alone(frame[frame["digest"] == digest])
    reached = frame[(frame["digest"] == digest) & (frame["round"] == last)]["run"].nunique()
    part = "" if reached == run_count else f" (reached by {reached} of {run_count} runs)"
    part = " (of each run its own)" if part and naming.is_refit(digest) else part
    return f"Last round {last}{part}, density {percent(result[0])}: {result[3].sentence()}."
