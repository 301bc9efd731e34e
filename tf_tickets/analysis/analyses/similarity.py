"""Linear centred kernel alignment (CKA) between layers, by the unbiased minibatch estimator, in numpy.

Kornblith et al. 2019 define CKA; Nguyen, Raghu & Kornblith 2021 average the unbiased HSIC_1 of Song et al. 2012 over
minibatches, so that the value depends little on the batch. HSIC_1(K, L) is the dot product of the two U-centred Gram
matrices over n (n - 3) (Szekely & Rizzo 2014). Scaled and laid end to end over the batches, a layer's Gram matrices
are thus one vector, and CKA is the cosine of two of them.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterable, Sequence

from tf_tickets.analysis.analysis import Analysis, label, same_round
from tf_tickets.evaluation.evaluator import Task
from tf_tickets.lazy_modules import np
from tf_tickets.registry import ANALYSES

if typing.TYPE_CHECKING:
    import pandas

    from tf_tickets.analysis.activations import Loader

LEAST = 4  # images in a batch, below which HSIC_1 is undefined


# Matrices of one recipe on the page of a report.
_ON_PAGE = 4


@ANALYSES.register("similarity")
class Similarity(Analysis):
    """Linear CKA of each network with itself, with its run's first one, and with those of earlier runs at its round."""

    order = 2
    text = (
        "linear CKA between layers, of dense network and ticket and of the given runs, on 1,000 test images (unbiased, "
        "batches of 100)"
    )
    plain = False

    def tasks(self, loader: Loader, groups: list[list]) -> list[tuple[object, list[Task]]]:
        """Networks of other data sets are not compared: no sample is the same to both."""
        of_subject = functools.cache(functools.partial(_directions, loader))
        work = []
        for number, group in enumerate(groups):
            for subject in group:
                counterparts = [subject, group[0], *same_round(subject, groups[:number])]
                counterparts = [
                    o for o in {id(o): o for o in counterparts}.values() if o.ticket.data == subject.ticket.data
                ]
                work.append(
                    (subject, [_task(loader, of_subject, counterpart, subject) for counterpart in counterparts])
                )
        return work

    def tables(self, name: str, rows: list[dict]) -> dict[str, list[dict]]:
        """A matrix for each pair of networks."""
        return {
            pair: [{"layer": layer} | values.to_dict() for layer, values in table.iterrows()]
            for pair, _, table in matrices(rows)
        }

    def figures(self, name: str, rows: list[dict], title: str) -> dict:
        """A heat map for each pair of networks."""
        from tf_tickets.plotting import maps
        from tf_tickets.plotting.rows import network

        drawn = {}
        for pair, of_pair, table in matrices(rows):
            above = f"linear CKA: {of_pair[0]['setting'].split(',')[0]} (rows), {network(of_pair)} (columns)"
            drawn[pair] = functools.partial(maps.similarity, table, above)
        return drawn

    def page(self, rows: pandas.DataFrame) -> list:
        """Some matrices of the first run that has any."""
        from tf_tickets.plotting import maps
        from tf_tickets.plotting.canvas import Shown

        first = rows.loc[rows["run"] == rows["run"].iloc[0]].to_dict("records")
        return [
            Shown(
                pair, functools.partial(maps.similarity, table),
                f"Linear CKA between layers {compared_networks(pair)}, one run: 1 where two layers' features agree up "
                "to rotation and scale. Similar features are not the same predictions.",
                "heat map of CKA between layers",
            )
            for pair, _, table in sorted(matrices(first), key=lambda matrix: matrix[0])[:_ON_PAGE]
        ]  # fmt: skip


def _directions(loader, subject):
    """`directions` of the layers of a networks.Subject on its sample."""
    from tf_tickets.analysis import activations, taps

    network = loader.network(subject)
    names = taps.compared(activations.described(subject.ticket))
    tensors = [network.model.get_layer(name).output for name in names]
    sample = loader.sample(network.data_set.name, network.place)
    batches = activations.activations(network, tensors, sample)
    return directions(layers for layers in batches if len(layers[0]) >= LEAST)


def _task(loader, of_subject, counterpart, subject):
    from tf_tickets.analysis import activations, taps

    def measure(network, rows):
        first, second = (taps.compared(activations.described(compared.ticket)) for compared in (counterpart, subject))
        values = cka(of_subject(counterpart), of_subject(subject))
        count = len(loader.sample(network.data_set.name, network.place))
        metrics = [(f"cka:{a}>{b}", values[i, j], count) for i, a in enumerate(first) for j, b in enumerate(second)]
        shared = [values[first.index(name), second.index(name)] for name in first if name in second]
        return [*metrics, ("cka", float(np.mean(shared)), count)]

    setting = f"{label(counterpart, subject)},images={activations.SAMPLE},batch={activations.BATCH}"
    return Task("similarity", setting, "cka", measure)


def matrices(rows: list[dict]) -> list[tuple]:
    """(name of its file, its rows, frame of layers x layers) of each comparison among rows of one run.

    Args:
      rows: dicts, of text or typed.

    Raises:
      KeyError, ValueError: a matrix is not whole.
    """
    import pandas

    from tf_tickets.plotting.rows import by_layer, grouped

    whole = []
    for (index, setting), of_pair in grouped(rows, "round", "setting").items():
        values = {tuple(pair.split(">")): value for pair, value in by_layer(of_pair, "cka").items()}
        lines, columns = (list(dict.fromkeys(names)) for names in zip(*((a, b) for a, b in values)))
        table = pandas.DataFrame([[values[line, column] for column in columns] for line in lines], lines, columns)
        first = setting.split(",")[0].replace("/", "_")
        whole.append((f"cka_{first}_round_{int(index):02d}", of_pair, table))
    return whole


def compared_networks(name: str) -> str:
    """Which networks a matrix compares, in words, from the name of its file, such as cka_round_00_round_07."""
    pair = re.fullmatch(r"cka_round_(\d+)_round_(\d+)", name)
    if not pair:
        return f"({name})"
    rounds = [int(part) for part in pair.groups()]
    rows, columns = (f"the ticket of round {index}" if index else "the dense network" for index in rounds)
    return f"of {rows} with each other" if rows == columns else f"of {rows} (rows) and {columns} (columns)"


def u_centred(features: np.ndarray) -> np.ndarray:
    """The U-centred linear Gram matrix of one batch.

    Args:
      features: float [n, ...], flattened per image; n >= 4.

    Returns:
      float64 [n, n], zero on the diagonal, rows and columns summing to zero.

    Raises:
      ValueError: fewer than four images.
    """
    count = len(features)
    if count < LEAST:
        raise ValueError(f"a batch of {count} images is too small: HSIC_1 needs at least {LEAST}")
    flat = np.asarray(features).reshape(count, -1)
    # U-centring removes the mean anyway; taken off before, it cannot drown the rest in rounding.
    flat = flat - flat.mean(axis=0)
    gram = (flat @ flat.T).astype(np.float64)
    np.fill_diagonal(gram, 0.0)
    rows = gram.sum(axis=0) / (count - 2)
    gram += gram.sum() / ((count - 1) * (count - 2)) - rows[:, None] - rows[None, :]
    np.fill_diagonal(gram, 0.0)
    return gram


def part(features: np.ndarray) -> np.ndarray:
    """One batch's part of a layer's vector: the dot product of two parts is HSIC_1 of the batch.

    Args:
      features: float [n, ...], n >= 4.

    Returns:
      float64 [n * n].
    """
    count = len(features)
    return u_centred(features).ravel() / np.sqrt(count * (count - 3.0))


def direction(parts: Sequence[np.ndarray]) -> np.ndarray:
    """A layer's vector of unit length, from the parts of all batches; zeros of a layer that never varies."""
    vector = np.concatenate(parts)
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector


def directions(batches: Iterable[list[np.ndarray]]) -> np.ndarray:
    """The vectors of several layers.

    Args:
      batches: iterable of lists, one float array [n, ...] per layer; every batch holds the same images for each.

    Returns:
      float64 [layers, m], for `cka`.
    """
    parts = [[part(features) for features in layers] for layers in batches]
    return np.stack([direction(column) for column in zip(*parts)])


def cka(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Linear CKA of every layer of one network with every layer of another.

    Args:
      first, second: results of `directions` on the same images in the same batches.

    Returns:
      float64 [layers of first, layers of second]; 1 for equal layers, about 0 for unrelated ones, from which the
      unbiased estimate may be a little negative.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"layers of {first.shape[1]} and {second.shape[1]} pairs of images: give both the same images")
    return first @ second.T
