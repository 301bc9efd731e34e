"""What the page shows of measurements that it knows nothing of: a table of their rows, and a figure by density."""

import functools

from tf_tickets.columns import measured, percent
from tf_tickets.plotting import rows as plotted
from tf_tickets.registry import measured_by
from tf_tickets.report import html, sentences
from tf_tickets.report.sections import Group

# Lines of a table, and tables; evaluations.csv has all.
_MOST, _MOST_TABLES = 60, 12


def section(group: Group) -> str:
    """Of a sections.Group: the rows of evaluators and analyses that are not registered, or leave it to the report."""
    whole = group.rows[~group.rows["metric"].str.contains(":", regex=False)]
    tables = [(measured_by(name), name, rows) for name, rows in whole.groupby("evaluator", sort=False)]
    tables = [(name, rows) for measure, name, rows in tables if measure is None or measure.plain]
    parts = [_table(group, number, *table) for number, table in enumerate(tables[:_MOST_TABLES])]
    if len(tables) > _MOST_TABLES:
        parts.append(html.paragraph(f"and {len(tables) - _MOST_TABLES:,} more evaluators in evaluations.csv", "soft"))
    return "\n".join([html.heading(3, "Other measurements"), *parts]) if parts else ""


def _table(group, number, name, rows):
    records, parts = rows.to_dict("records"), []
    if len(plotted.densities(records)) > 1:
        runs = sentences.count(rows["run"].nunique(), "run")
        parts.append(html.figures([group.draw(
            f"other_{number}", functools.partial(plotted.by_density, records, name),
            f"What {name} measured against the share of prunable weights left, mean over {runs}.",
            f"{name} against density",
        )]))  # fmt: skip
    means = rows.groupby(["setting", "metric", "round"], sort=False).agg(
        density=("density", "mean"), value=("value", "mean"), runs=("run", "nunique")
    )
    first = means.head(_MOST).reset_index()
    values = [measured(metric, value) for metric, value in zip(first["metric"], first["value"])]
    parts.append(html.table({
        "evaluator": [name] * len(first), "setting": list(first["setting"]), "metric": list(first["metric"]),
        "round": [str(index) for index in first["round"]], "density": [percent(value) for value in first["density"]],
        "mean": values, "runs": [str(count) for count in first["runs"]],
    }))  # fmt: skip
    if len(means) > _MOST:
        parts.append(html.paragraph(f"and {len(means) - _MOST:,} more rows in evaluations.csv", "soft"))
    return "\n".join(parts)
