"""What `analyze` leaves beside the rows: tables and figures in the run's folder `analysis`, and text to print."""

import os

from tf_tickets import storage
from tf_tickets.report import analysis_plots, analysis_rows, tables


def finish(found, wanted):
    """Writes the tables and figures of finished analyses.

    Args:
      found: list with folder (where to write), name and rows (dicts of text, the columns of evaluations.csv).
      wanted: names of analyses.

    Returns:
      A table of the main rows, and the lines that name the files.
    """
    text, paths = [_table([row for one in found for row in one.rows])], []
    for one in found:
        for name in wanted:
            rows = [row for row in one.rows if row["evaluator"] == name]
            if rows:
                paths += [*_tables(name, rows, one.folder), *_figures(name, rows, one)]
    return "\n".join(text + [f"wrote {path}" for path in paths])


def _table(rows):
    """The rows that speak of a whole network, as text."""
    shown = [row for row in rows if ":" not in row["metric"] or row["metric"].startswith("accuracy:")]
    cells = {name: [row[name] for row in shown] for name in ("run", "round", "evaluator", "setting", "metric")}
    return tables.align(cells | {
        "density": [tables.percent(float(row["density"])) for row in shown],
        "value": [f"{float(row['value']):.6g}" for row in shown], "n": [row["n"] for row in shown],
    })  # fmt: skip


def file_name(setting):
    """A setting as part of a file's name: its first item, with no folder in it."""
    return setting.split(",")[0].replace("/", "_")


def _tables(name, rows, folder):
    if name == "density":
        return [_by_round(rows, metric, os.path.join(folder, f"{file}.csv"))
                for metric, file in (("density", "density"), ("kept", "weights_left"))]  # fmt: skip
    if name == "similarity":
        return [_cka_table(mine, folder) for mine in analysis_rows.grouped(rows, "round", "setting").values()]
    path = os.path.join(folder, f"{name}.csv")
    storage.write_csv(path, rows, list(rows[0]))
    return [path]


def _by_round(rows, metric, path):
    lines = []
    for mine in analysis_rows.grouped(rows, "round").values():
        whole = {"round": mine[0]["round"], "total_density": mine[0]["density"]}
        lines.append(whole | analysis_rows.by_layer(mine, metric))
    storage.write_csv(path, lines, list(lines[0]))
    return path


def _cka_table(rows, folder):
    lines, columns, values = analysis_rows.matrix(rows)
    path = os.path.join(folder, f"cka_{pair_name(rows)}.csv")
    table = [{"layer": line} | {column: values[line, column] for column in columns} for line in lines]
    storage.write_csv(path, table, ["layer", *columns])
    return path


def pair_name(rows):
    """The two networks of a comparison's rows, as part of a file's name: lines, then columns."""
    return f"{file_name(rows[0]['setting'])}_round_{int(rows[0]['round']):02d}"


def _figures(name, rows, one):
    if name == "similarity":
        paths = []
        for mine in analysis_rows.grouped(rows, "round", "setting").values():
            path = os.path.join(one.folder, f"cka_{pair_name(mine)}")
            there, here = mine[0]["setting"].split(",")[0], analysis_plots.network(mine)
            paths += analysis_plots.similarity(*analysis_rows.matrix(mine), path, there, here)
        return paths
    return analysis_plots.FIGURES[name](rows, os.path.join(one.folder, name), one.name)
