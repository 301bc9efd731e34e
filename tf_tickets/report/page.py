"""report.html: everything about some runs on one page that needs no network."""

import os

import pandas

from tf_tickets import runs, storage
from tf_tickets.report import (
    data_sets,
    details,
    ensembles,
    exports,
    figures_robustness,
    html,
    others,
    pairing,
    plots,
    probes,
    recipe,
    reliability,
    rewinds,
    rivals,
    rows_section,
    sections,
    sentences,
    statistics,
)
from tf_tickets.report.drawing import Figures

# Beyond these the page names what it leaves out; report.csv and paired.csv hold all of it.
MOST_FIGURES, MOST_OPEN, _MOST_IN_FOREST = 30, 12, 40

_READING = (
    "Each sentence compares ticket and dense network at the last round, over pairs of runs that share (seed, subset "
    "seed). That stands for a claim only if the round was fixed before the runs; a round picked by its test accuracy "
    "is no result. A difference is called shown only where the 95 % t interval and the exact sign-flip test both "
    "exclude zero."
)


def write(
    frame: pandas.DataFrame, pairs: pandas.DataFrame, *, against: pandas.DataFrame, rewound: pandas.DataFrame,
    rows: pandas.DataFrame, folders: dict[str, runs.RunFolder], out: str, problems: list[str], apart: str = "",
    pdf: bool = False, joined: pandas.DataFrame | None = None, probed: pandas.DataFrame | None = None,
    exported: pandas.DataFrame | None = None,
) -> list[str]:  # fmt: skip
    """Writes report.html and figures/*.svg.

    Args:
      frame: of `tables.collect`.
      pairs: of `pairing.paired`.
      against: of `rivals.compared`.
      rewound: of `rewinds.compared`.
      rows: of `evaluation_rows.gather`.
      folders: of `details.sources`, read for what is beside the summaries.
      out: folder to write to.
      problems: the lines of `collect`; takes one more for each damaged file.
      apart: the sentence of `rivals.left_out`.
      pdf: whether each figure is also written as PDF.
      joined: of `ensembles.gather`; None for none.
      probed: of `probes.compared`; None for none.
      exported: of `exports.gather`; None for none.

    Returns:
      The names of the page and of the SVG files, relative to `out`.

    Raises:
      StateError: a file cannot be written.
    """
    figures = Figures(os.path.join(out, "figures"), pdf)
    groups = _groups(frame, pairs, rows, folders, figures, problems)
    title, _ = plots.labels(frame)
    heading = f"Dense networks and their tickets: {title}" if title else "Dense networks and their tickets"
    middle = [_short_rounds(frame), _together(frame, groups, figures), _rivals(frame, against, apart, figures)]
    middle += [_probes(frame, probed, figures), _rewinds(rewound, figures), _ensembles(joined)]
    shown = 0
    while shown < len(groups) and len(figures.names) < MOST_FIGURES:
        middle.append(_group(groups[shown], alone=len(groups) == 1))
        shown += 1
    if shown < len(groups):
        more = sentences.count(len(groups) - shown, "more recipe").capitalize()
        text = f"{more} without a section here: report on fewer runs to see them."
        middle.append(html.paragraph(text, "soft"))
    body = [html.heading(1, heading), _opening(groups, shown), html.paragraph(_READING, "soft"), *middle]
    body += [_exports(exported), rows_section.section(frame), _left_out(problems)]
    storage.write_bytes(os.path.join(out, "report.html"), html.page(heading, body).encode("utf-8"))
    return ["report.html", *(f"figures/{name}.svg" for name in figures.names)]


def _groups(frame, pairs, rows, folders, figures, problems):
    names, groups = _told_apart(plots.labels(frame)[1], frame, folders), []
    for digest, name in names.items():
        of_recipe = pairing.comparable(frame[frame["digest"] == digest])
        groups.append(sections.Group(
            digest, name, of_recipe, pairs[pairs["digest"] == digest], rows[rows["digest"] == digest],
            {run: folders[run] for run in dict.fromkeys(of_recipe["run"]) if run in folders}, figures, problems,
        ))  # fmt: skip
    return groups


def _told_apart(names, frame, folders):
    """Names by digest, with the settings that differ where a name would else be a bare digest."""
    runs_of = frame.groupby("digest", sort=False)["run"].first()
    if len(names) < 2 or any(run not in folders for run in runs_of):
        return names
    changed = {digest: details.changed_settings(folders[run], []) for digest, run in runs_of.items()}
    every = dict.fromkeys(name for settings in changed.values() for name in settings)
    differ = [name for name in every if len({settings.get(name) for settings in changed.values()}) > 1]
    texts = {digest: " ".join(filter(None, map(settings.get, differ))) for digest, settings in changed.items()}
    return {d: texts[d] or "defaults" if name.endswith(d) else name for d, name in names.items()}


def _short_rounds(frame):
    short = int(frame["searched"].sum())
    if not short:
        return ""
    text = f"{short} of {len(frame)} rounds were shortened, since they only served the next mask (--search_epochs, "
    return html.paragraph(text + "--mask_distance). They are listed under Rows and compared with nothing.", "soft")


def _anchor(group):
    return f"recipe-{group.digest}"


def _opening(groups, shown):
    """The results in words, one for each recipe; the first `shown` have a section to point to."""
    if len(groups) == 1:
        return html.paragraph(groups[0].headline(), "claim") + sections.few_pairs(groups[0])
    lines, apart = [], []
    for number, group in enumerate(groups):
        name = html.link(_anchor(group), group.name) if number < shown else html.escape(group.name)
        if group.has_claim:
            lines.append(f'<li class="claim"><b>{name}</b>. {html.escape(group.headline())}</li>')
        else:
            apart.append(name)
    if len(apart) == 1:
        lines.append(f'<li class="claim"><b>{apart[0]}</b>. {sentences.NO_TICKET}</li>')
    elif apart:
        text = html.escape(
            f"{sentences.count(len(apart), 'recipe').capitalize()} without a ticket to compare with a dense"
        )
        lines.append(f'<li class="soft">{text} network of its own: {"; ".join(apart)}.</li>')
    text, rest = (f'<ul class="claims">{"".join(part)}</ul>' for part in (lines[:MOST_OPEN], lines[MOST_OPEN:]))
    return text + html.folded(f"{len(lines) - MOST_OPEN} more recipes", [rest]) if lines[MOST_OPEN:] else text


def _together(frame, groups, figures):
    """Of each data set all recipes in one figure each of accuracy and of differences."""
    together = data_sets.parts(frame)
    return "\n".join(
        _of_a_data_set(rows, [group for group in groups if group.digest in set(rows["digest"])], figures,
                       *((f" of {name}", lambda stem, name=name: data_sets.file_name(stem, name, together))
                         if len(together) > 1 else ("", str)))
        for name, rows in together.items()
    )  # fmt: skip


def _of_a_data_set(frame, groups, figures, of_it, named):
    drawn = []
    if 1 < len(groups) and sum(len(group.rounds) > 1 for group in groups) <= plots.MOST_GROUPS:
        drawn.append(figures.add(
            named("accuracy"), lambda: plots.figure(pairing.comparable(frame), ""),
            "Test accuracy after the last epoch against the share of prunable weights left. Dashed: dense; bands: 95 % "
            "interval of the mean over runs. Recipes differ in more than their curves show: see their settings.",
            "accuracy against density of all recipes",
        ))  # fmt: skip
    results = [(group, group.result) for group in groups]
    differences = [(group.name, result[3]) for group, result in results if result]
    if len(differences) > 1:
        corrected = statistics.holm([difference.p_value for _, difference in differences])
        left = sum(p <= 0.05 + 1e-12 for p in corrected)
        shown = differences[:_MOST_IN_FOREST]
        cut = f" The first {len(shown)} of {len(differences)}." if len(shown) < len(differences) else ""
        drawn.append(figures.add(
            named("differences"), lambda: figures_robustness.forest(shown),
            "Ticket minus dense at the last round of each recipe with its 95 % interval; filled: difference shown."
            f"{cut} Each stands alone; Holm's correction over the {len(differences)} recipes leaves "
            f"{left or 'none'} below 0.05. "
            "Intervals of two or three pairs may be cut at the edge.",
            "differences of all recipes with intervals",
        ))  # fmt: skip
    return html.heading(2, f"All recipes{of_it}") + html.figures(drawn) if drawn else ""


def _rivals(frame, against, apart, figures):
    """Of each data set the first search's ticket against every other recipe."""
    together = data_sets.parts(frame)
    tables = {name: against[against["rival"].isin(rows["digest"])] for name, rows in together.items()}
    parts = [
        _rivals_of(together[name], table, figures, data_sets.file_name("rivals", name, together))
        for name, table in tables.items() if not table.empty
    ]  # fmt: skip
    return "\n".join([*parts, *([html.paragraph(f"{apart}.", "soft")] if apart else [])])


def _rivals_of(frame, against, figures, file):
    differences = rivals.results(against)
    drawn = figures.add(
        file, lambda: figures_robustness.forest(differences, "ticket - rival (points)"),
        "Ticket minus rival with its 95 % interval, over pairs of (seed, subset seed), at the sparsest density where "
        "they meet with most pairs; filled: difference shown. Intervals of two or three pairs may be cut at the edge.",
        "differences of the ticket to its rivals with intervals",
    )  # fmt: skip
    name = plots.labels(frame)[1][against["digest"].iloc[0]]
    title, table = html.heading(2, f"The ticket of {name} against its rivals"), html.table(rivals.cells(against))
    return "\n".join([title, html.figures([drawn]), table, html.paragraph(rivals.note(against), "soft")])


def _probes(frame, probed, figures):
    """Every recipe against the linear probes."""
    parts = []
    for number, (title, of_probe) in enumerate([] if probed is None else probes.groups(probed, frame)):
        differences = probes.results(of_probe)[:_MOST_IN_FOREST]
        drawn = figures.add(
            f"probe_{number}", lambda shown=differences: figures_robustness.forest(shown, "recipe - probe (points)"),
            "Recipe minus linear probe with its 95 % interval, over pairs of (seed, subset seed), of dense networks "
            "and of last rounds; filled: difference shown. Intervals of two or three pairs may be cut at the edge.",
            "differences of recipes to the linear probe with intervals",
        )  # fmt: skip
        text = "A logistic regression on the features of a network that stayed as it was. p, Holm is "
        note = html.paragraph(f"{text}corrected over the rows of the table.", "soft")
        parts += [html.heading(2, title), html.figures([drawn]), html.table(probes.cells(of_probe)), note]
    return "\n".join(parts)


def _rewinds(rewound, figures):
    """Searches that differ in their rewind point."""
    if rewound.empty:
        return ""
    drawn = figures.add(
        "rewinds", lambda: rewinds.figure(rewound),
        "Test accuracy of dense network and ticket by the epoch that the rounds rewind to, mean over pairs. Below, "
        "where it was measured, the barrier: how far the test error rises on the line between two copies that share "
        "the rewind point and differ in the order of their images. Normalisation statistics are interpolated too: that "
        "raises it.",
        "accuracy and barrier by rewind epoch",
    )  # fmt: skip
    table = html.table(rewinds.cells(rewound))
    return "\n".join([html.heading(2, rewinds.heading(rewound)), html.figures([drawn]), table])


def _ensembles(joined):
    """Several tickets as one."""
    if joined is None or joined.empty:
        return ""
    text = "The mean of several tickets' probabilities. One ensemble shows neither luck nor spread."
    return "\n".join([html.heading(2, "Ensembles"), html.table(ensembles.cells(joined)), html.paragraph(text, "soft")])


def _exports(exported):
    """The files of tickets."""
    if exported is None or exported.empty:
        return ""
    title, note = html.heading(2, "Exported files"), html.paragraph(exports.NOTE, "soft")
    return "\n".join([title, html.table(exports.cells(exported)), note])


def _group(group, alone):
    name = group.name if group.name != group.digest else ""
    run = str(group.frame["run"].iloc[0]).split("/")[0]
    parts = [html.heading(2, name or run, _anchor(group))]
    if not alone:
        parts.append(html.paragraph(group.headline(), "claim" if group.has_claim else "soft"))
        parts.append(sections.few_pairs(group))
    first = group.frame.iloc[0]
    facts = [run, str(first["data"]), f"augment {first['augment']}", f"rewind {first['rewind']}"]
    parts.append(html.paragraph(", ".join(facts), "soft"))
    if mixed := details.several_sources(group.folders.values()):
        parts.append(html.paragraph(mixed))
    made = (
        sections.accuracy,
        sections.robustness,
        reliability.section,
        sections.classes,
        sections.examples,
        sections.inside,
    )
    parts += [part(group) for part in made]
    parts += filter(None, [others.section(group)])
    return "\n".join([*parts, sections.training(group), recipe.section(group)])


def _left_out(problems):
    if not problems:
        return ""
    return html.heading(2, "Left out") + "\n" + html.code("\n".join(problems))
