"""Density and weights left of every layer, in every complete round of the runs."""

from __future__ import annotations

import functools
import typing

from tf_tickets.analysis.analysis import Analysis
from tf_tickets.evaluation.evaluator import Task
from tf_tickets.lazy_modules import np
from tf_tickets.registry import ANALYSES

if typing.TYPE_CHECKING:
    import pandas

    from tf_tickets.analysis.activations import Loader


@ANALYSES.register("density")
class Density(Analysis):
    """What of each layer is left."""

    order = 1
    text = "weights left by layer and round: a heat map"
    of_masks = True
    plain = False

    def tasks(self, loader: Loader, groups: list[list]) -> list[tuple[object, list[Task]]]:
        """Of all complete rounds, whatever `--which` says."""
        from tf_tickets.evaluation import networks

        firsts = {first.run.folder if first.run else first.folder: first for first, *_ in groups}
        every = [networks.of_run(first.run, "all") if first.run else [first] for first in firsts.values()]
        return [(subject, [Task("density", "mask", "kept", _measure)]) for group in every for subject in group]

    def tables(self, name: str, rows: list[dict]) -> dict[str, list[dict]]:
        """A line for each round: densities, and weights left."""
        return {"density": _lines(rows, "density"), "weights_left": _lines(rows, "kept")}

    def figures(self, name: str, rows: list[dict], title: str) -> dict:
        """Layers against rounds."""
        import pandas

        from tf_tickets.plotting import maps

        table = maps.mean_by_round(_of_layers(pandas.DataFrame(rows).astype({"round": int, "value": float})))
        return {} if table is None else {name: functools.partial(maps.densities, table, title)}

    def page(self, rows: pandas.DataFrame) -> list:
        """Layers against rounds, mean over runs."""
        from tf_tickets.plotting import maps

        return maps.weights_left(maps.mean_by_round(_of_layers(rows)))


def _measure(network, rows):
    metrics, kept, total = [], 0, 0
    for name, mask in network.ticket.masks.items():
        left = int(np.count_nonzero(mask))
        metrics += [(f"density:{name}", left / mask.size, mask.size), (f"kept:{name}", left, mask.size)]
        kept, total = kept + left, total + mask.size
    return [*metrics, ("kept", kept, total)]


def _lines(rows, metric):
    from tf_tickets.plotting.rows import by_layer, grouped

    return [
        {"round": index, "total_density": of_round[0]["density"]} | by_layer(of_round, metric)
        for (index,), of_round in grouped(rows, "round").items()
    ]


def _of_layers(rows):
    """The densities among rows, a frame, with the layer of each."""
    mark = "density:"
    of_layers = rows.loc[rows["metric"].str.startswith(mark)]
    return of_layers.assign(layer=of_layers["metric"].str.slice(len(mark)))
