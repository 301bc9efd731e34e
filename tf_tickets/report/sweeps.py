"""What `sweep` prints and writes about its runs: one line each."""

import os
import shlex

from tf_tickets import storage
from tf_tickets.columns import percent
from tf_tickets.errors import StateError
from tf_tickets.report import sentences, statistics, tables

_MEASURED = ("rounds_done", "chosen", "test_accuracy_round_0", "test_accuracy", "difference")


def finish(out: str, entries: list[dict], plugins: str | None = None) -> str:
    """Writes `<out>/sweep/table.csv` and tells what became of the runs.

    Args:
      out: folder of all runs.
      entries: list of dicts with run (name), folder (runs.RunFolder), swept (dict of texts), state, rounds (how many
        were asked for) and chosen (index of the round that became the ticket; None stands for the last complete one).
      plugins: the value of `--plugins`, which whatever reads the runs needs too.

    Returns:
      The table as text, and the lines that name the file and the next command. Accuracies are fractions in the file,
      differences to round 0 percentage points.

    Raises:
      StateError: the table cannot be written.
    """
    rows = [_row(entry) for entry in entries]
    swept = list(entries[0]["swept"])
    path = os.path.join(out, "sweep", "table.csv")
    storage.write_csv(path, rows, ["run", *swept, "state", *_MEASURED])
    text = tables.align({
        "run": [row["run"] for row in rows],
        **{name: [row[name] for row in rows] for name in swept},
        "state": [row["state"] for row in rows],
        "rounds done": [str(row["rounds_done"]) for row in rows],
        "test, round 0": [percent(row["test_accuracy_round_0"]) for row in rows],
        "chosen": ["" if row["chosen"] is None else str(row["chosen"]) for row in rows],
        "test, chosen": [percent(row["test_accuracy"]) for row in rows],
        "to round 0, points": [
            "" if row["difference"] is None else statistics.points(row["difference"] / 100, 2) for row in rows
        ],
    })  # fmt: skip
    words = [f"--plugins={plugins}", out] if plugins else [out]
    return f"{text}\ntable: {path}\nnext: report {shlex.join(words)}"


def _row(entry):
    """One line of the table; of damaged rounds nothing is told."""
    try:
        summaries = entry["folder"].summaries()[: entry["rounds"]]
        of_ticket = entry["folder"].of_ticket
        shown = [] if of_ticket.is_rival else of_ticket.summaries()
    except StateError:
        summaries, shown = [], []
    row = {"run": entry["run"], **entry["swept"], "state": entry["state"], "rounds_done": len(summaries)}
    chosen = entry["chosen"] if entry["chosen"] is not None else len(summaries) - 1
    shown = shown if len(shown) > chosen else summaries  # a refit may have been removed
    first, last = (
        shown[index].get("test_accuracy") if 0 <= index < len(shown) and not shown[index].get("searched") else None
        for index in (0, chosen)
    )
    both = chosen > 0 and None not in (first, last)
    return {
        **row, "chosen": chosen if summaries else None, "test_accuracy_round_0": first, "test_accuracy": last,
        "difference": 100 * (last - first) if both else None,
    }  # fmt: skip


def listing(entries: list[dict]) -> str:
    """The runs of a sweep before it starts.

    Args:
      entries: list of dicts with run (name), recipe (name without seeds), folder (runs.RunFolder), swept (dict of
        texts), finished, complete and rounds (numbers of rounds) and steps (training steps left).

    Returns:
      A table as text with a line of totals, and one more where the pairs are too few for a claim.
    """
    new = [not entry["finished"] and not entry["complete"] for entry in entries]
    states = [
        "finished" if entry["finished"] else "new" if fresh else f"{entry['complete']} of {entry['rounds']} rounds"
        for entry, fresh in zip(entries, new)
    ]
    text = tables.align({
        **{name: [entry["swept"][name] for entry in entries] for name in entries[0]["swept"]},
        "state": states,
        "steps left": [f"{entry['steps']:,}" for entry in entries],
        "folder": [entry["folder"].folder for entry in entries],
    })  # fmt: skip
    finished = sum(entry["finished"] for entry in entries)
    return (
        f"{text}\nin all {len(entries)} runs: {finished} finished, {len(entries) - finished - sum(new)} begun, "
        f"{sum(new)} new; {sum(entry['steps'] for entry in entries):,} steps left{_few_pairs(entries)}"
    )


def _few_pairs(entries):
    """A line where a recipe has fewer pairs, with those that are there already, than could show a difference."""
    planned, there = {}, {}
    for entry in entries:
        path, recipe = entry["folder"].folder, entry["recipe"]
        planned.setdefault(recipe, set()).add(_pair(path))
        there.setdefault(recipe, set()).update(_pair(name) for name in _runs_beside(path))
    counts = sorted(len(pairs) for recipe, pairs in planned.items() if len(pairs | there[recipe]) < sentences.ENOUGH)
    if not counts:
        return ""
    text = " to ".join(sentences.number(count) for count in dict.fromkeys((counts[0], counts[-1])))
    if len(planned) > 1:
        which = "each" if len(counts) == len(planned) else sentences.number(len(counts))
        text += f" for {which} of {sentences.count(len(planned), 'recipe')}"
    needed = sentences.count(sentences.ENOUGH, "pair")
    return f"\n{needed} of (seed, subset seed) are needed for a claim, this grid has {text}"


def _pair(path):
    """The name of (seed, subset seed): a run's folder, without an order of its own."""
    return os.path.basename(path).partition("-order_")[0]


def _runs_beside(path):
    try:
        return [name for name in os.listdir(os.path.dirname(path)) if name.startswith("seed_")]
    except OSError:
        return []
