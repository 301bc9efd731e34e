"""The command that adds runs until there are enough pairs to show a difference."""

import os
import shlex
from collections.abc import Mapping

import pandas

from tf_tickets import runs
from tf_tickets.report import naming, sentences, statistics


def command(
    rows: pandas.DataFrame, folders: Mapping[str, runs.RunFolder], difference: statistics.PairedDifference
) -> str:
    """The `sweep` that makes enough pairs of a recipe and keeps its runs.

    Args:
      rows: those of the recipe, of `tables.collect`.
      folders: from run name to folder, of the runs that came from folders.
      difference: of the recipe.

    Returns:
      A command line; nothing where there are enough pairs, or no run folder.
    """
    known = [folders[run] for run in dict.fromkeys(rows["run"]) if run in folders]
    if difference.n >= sentences.ENOUGH or not known or naming.is_refit(rows["digest"].iloc[0]):
        return ""
    seeds = set(zip(rows["seed"].astype(int), rows["subset_seed"].astype(str)))
    together = all(str(seed) == subset for seed, subset in seeds)
    first = min(seed for seed, _ in seeds)
    field = "seed+subset_seed" if together else "seed"
    words = [
        f"--flagfile={known[0].config}", f"--sweep={field}={first}..{first + sentences.ENOUGH - 1}",
        f"--out={os.path.dirname(os.path.dirname(os.path.abspath(known[0].folder)))}",
    ]  # fmt: skip
    return f"python -m tf_tickets.main sweep {' '.join(map(shlex.quote, words))}"
