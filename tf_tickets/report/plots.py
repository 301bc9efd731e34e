"""Accuracy against density, as PNG, SVG and PDF whose bytes depend on the frame alone."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas
from matplotlib.figure import Figure

from tf_tickets import own_networks
from tf_tickets.columns import percent
from tf_tickets.plotting.canvas import COLOURS, MARKERS, canvas, density_axis, write
from tf_tickets.registry import CONTROLS, CRITERIA
from tf_tickets.report import naming, pairing, statistics
from tf_tickets.settings.groups import Pruning

# More would share their colours, and their legend would leave no room for the curves.
MOST_GROUPS = 2 * len(COLOURS)
# Of two runs the interval of the mean is thirteen times as wide as they lie apart: it would fill the figure.
LEAST_IN_BAND = 3
# With more, a line for each run hides the means, and the legend finds no room inside.
_FEW_GROUPS = 3
# Characters of a title that fit above the axes.
_TITLE = 68
_NAMED = ("dataset", "model", "data", "augment", "rewind", "control")
_OF_TRAINING = ("augment", "rewind")


def accuracy_against_density(
    frame: pandas.DataFrame, path_without_suffix: str, title: str, formats: Sequence[str] = ("png", "svg")
) -> list[str]:
    """Writes the figure of `figure`.

    Args:
      frame: a frame of `tables.collect` or of `tables.run_table`.
      path_without_suffix: the formats' names are appended.
      title: text above the axes.
      formats: of METADATA.

    Returns:
      The paths.
    """
    return write(lambda: figure(frame, title), path_without_suffix, formats)


def figure(frame: pandas.DataFrame, title: str) -> Figure:
    """Test accuracy of the last epoch in per cent against density on a log axis, sparser to the right.

    One colour per digest that is `shown`, and one for all densities of a recipe that has each in a run of its own. A
    group of one run is a line with markers, its chosen round ringed; a group of several is their mean over the rounds
    that all of them have reached, with a 95 % t interval from LEAST_IN_BAND runs on, and, of few groups, a thin line
    per run.
    """
    frame = pairing.curves(frame[frame["density"] > 0])
    if "digest" not in frame:
        frame = frame.assign(digest="", run="")
    if "weights_total" in frame:
        # A small dense network stands at the density that the searched one would have with as many weights.
        small = pairing.of_controls(frame, "other_network")
        relative = frame["weights_left"] / frame["weights_total"].max()
        frame = frame.assign(density=frame["density"].where(~small, relative))
    names = labels(frame)[1]
    crowded = len(names) > _FEW_GROUPS
    drawn = canvas(5.6, (4.8 + 0.22 * max(len(names) - len(COLOURS), 0)) if crowded else 3.8)
    axes = drawn.add_subplot()
    kept = shown(frame)
    if len(kept) < len(names):
        title = f"{title}, {len(kept)} of {len(names)} recipes".lstrip(", ")
        frame = frame[frame["digest"].isin(kept)]
    groups = list(frame.groupby("digest", sort=False))
    lined = {digest: _dense(group) for digest, group in groups if _has_dense_line(group, frame)}
    levels = {digest: rows["test_accuracy"].mean() for digest, rows in lined.items()}
    for number, (digest, group) in enumerate(groups):
        name = "" if len(names) == 1 else names[digest]
        # Searches that differ in what they do after the dense round share its line.
        sharing = [candidate for candidate, level in levels.items() if level == levels.get(digest)]
        if digest in sharing[:1]:
            _draw_dense(axes, group, number, name if len(sharing) == 1 else "")
        _draw_group(axes, group, number, name, crowded)
    density_axis(axes, frame["density"])
    _accuracy_axis(axes, 100 * frame["test_accuracy"])
    axes.set_title(textwrap.fill(title, _TITLE))
    if crowded:
        drawn.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=1, handlelength=2.4)
    else:
        axes.legend(loc="best", handlelength=2.4)
    return drawn


def shown(frame: pandas.DataFrame) -> list[str]:
    """The digests with room in one figure: all, else the first MOST_GROUPS, of those that prune if several do."""
    rounds = frame.groupby("digest", sort=False)["round"].nunique()
    if len(rounds) > MOST_GROUPS and (rounds > 1).sum() > 1:
        rounds = rounds[rounds > 1]
    return list(rounds.index[:MOST_GROUPS])


def labels(frame: pandas.DataFrame) -> tuple[str, dict[str, str]]:
    """What the groups of a frame share and what tells them apart.

    Returns:
      (title, names): the shared settings as text, and a dict from digest to a label, in the frame's order.
    """
    fitted = frame["digest"][pairing.of_controls(frame, "fits")].unique() if "control" in frame else []
    sparse = set()
    if "control" in frame:
        # Recipes that end with fewer weights may differ in how many alone.
        sparse = set(frame["digest"][frame["density"] < 1.0]) if "density" in frame else set()
        dense = pairing.of_controls(frame, "is_search") & ~frame["digest"].isin(sparse)
        scopes = frame["scope"] if "scope" in frame else [Pruning.scope] * len(frame)
        frame = frame.assign(control=list(map(_method, frame["control"], frame["criterion"], scopes)))
        frame["control"] = frame["control"].mask(dense, CONTROLS["none"].title)  # what removes nothing ranks nothing
    digests = list(dict.fromkeys(frame["digest"]))
    columns = [name for name in _NAMED if name in frame]
    # What a probe does not train by tells it from nothing.
    trained = frame[~frame["digest"].isin(fitted)]
    shared = [name for name in columns if (trained if name in _OF_TRAINING else frame)[name].nunique() <= 1]
    # The title has little room: of the shared settings it names the data and the network.
    title = ", ".join(_setting_text(name, frame[name].iloc[0]) for name in shared if name in _NAMED[:3])
    groups, names = {digest: frame[frame["digest"] == digest] for digest in digests}, {}
    for digest, rows in groups.items():
        told = [name for name in columns if name not in shared and (digest not in fitted or name not in _OF_TRAINING)]
        parts = [_setting_text(name, rows.iloc[0][name]) for name in told]
        names[digest] = ", ".join(
            part for part in parts if part and (part != CONTROLS["none"].title or not _kind(rows))
        )
    names |= _densities(names, groups, sparse)
    texts = list(names.values())
    for digest, text in names.items():
        if (texts.count(text) > 1 or not text) and digest not in fitted:
            names[digest] = ", ".join(filter(None, (text, _kind(groups[digest]))))
    if "distillation" in frame and frame["distillation"].nunique() > 1:
        taught = {digest: rows["distillation"].iloc[0] for digest, rows in groups.items()}
        names = {digest: ", ".join(filter(None, (text, taught[digest]))) for digest, text in names.items()}
    texts = list(names.values())
    for digest, text in names.items():
        if texts.count(text) > 1:
            names[digest] = f"{text} {digest}".strip()
        elif not text:  # alone, or the one search beside dense networks of the same settings
            several = len(texts) > 1 and "control" in frame
            names[digest] = _setting_text("control", groups[digest]["control"].iloc[0]) if several else digest
    return title, names


def _kind(rows):
    """What a recipe that is no control is, where it is not a search with every round in full; else nothing."""
    if not {"searched", "epochs"} <= set(rows):  # of one run's own table
        return ""
    whole = rows[rows["searched"] == 0]
    if naming.is_rival(rows["digest"].iloc[0]):
        return naming.RIVAL_TITLE
    if "soup_members" in rows and rows["soup_members"].notna().any():
        return f"soup of {rows['soup_members'].iloc[0]}"
    if len(whole) and whole["round"].max() == 0:
        return f"{'dense' if whole.iloc[0]['density'] == 1.0 else 'sparse'}, {whole.iloc[0]['epochs']} epochs"
    return "shortened rounds" if len(whole) < len(rows) or rows["round"].min() > 0 else ""


def _densities(names, groups, sparse):
    """The names, with their density, of recipes that are of one density each and else alike."""
    told = {}
    for text in set(names.values()):
        alike = [digest for digest, name in names.items() if name == text and digest in sparse]
        if not 1 < len(alike) == list(names.values()).count(text):
            continue
        left = [_last_density(groups[digest]) for digest in alike]
        if len(set(left)) == len(left):
            told |= {digest: ", ".join(filter(None, (text, f"{part} left"))) for digest, part in zip(alike, left)}
    return told


def _last_density(rows):
    return percent(rows[rows["round"] == rows["round"].max()]["density"].mean())


def _method(control, criterion, scope):
    """What a recipe removes weights by: a search its criterion, a control what it is called, and another criterion."""
    ranked = criterion if scope == Pruning.scope else f"{criterion} ({scope})"
    if CONTROLS[control].is_search:
        return ranked
    if criterion in CRITERIA and getattr(CRITERIA[criterion], "iterations_at_initialisation", 0):
        return f"{ranked} at initialisation"
    title = CONTROLS[control].title
    return title if ranked == Pruning.criterion else f"{title} by {ranked}"


def _setting_text(name, value):
    text = own_networks.shown(str(value)) if name == "model" else str(value)
    return f"{name} {text}" if name in ("augment", "rewind") else text


def _dense(group):
    return group[(group["round"] == 0) & (group["density"] == 1.0)]


def _has_dense_line(group, frame):
    """Whether the group has a dense network of its own: a control beside a search begins with the search's."""
    control = CONTROLS[group["control"].iloc[0]] if "control" in frame else None
    if control is None or control.is_search or control.fits:
        return len(_dense(group)) > 0
    return len(_dense(group)) > 0 and not (pairing.of_controls(frame, "is_search") & (frame["round"] > 0)).any()


def _draw_dense(axes, group, number, name):
    dense, label = _dense(group), name or _single(group)
    if name and group["round"].max():  # of a search, whose legend counts the runs
        label = f"{name}: dense"
    elif name and len(dense) > 1:
        label = f"{name}: mean of {len(dense)} runs"
    colour = COLOURS[number % len(COLOURS)] if name else "#444444"
    axes.axhline(100 * dense["test_accuracy"].mean(), color=colour, linestyle="--", linewidth=1.1, label=label)


def _single(group):
    """What the one recipe of a figure is called where it has one round."""
    fitted = "control" in group and CONTROLS[group["control"].iloc[0]].fits
    return CONTROLS[group["control"].iloc[0]].title if fitted else "dense"


def _draw_group(axes, group, number, name, crowded):
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    look = {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": 1.8, "zorder": 3}
    if number >= len(COLOURS):  # told from the first of its colour
        look |= {"linestyle": (0, (4, 1.5)), "markerfacecolor": "white"}
    lines = {run: rows.sort_values("round") for run, rows in group.groupby("run", sort=False)}
    if group["round"].nunique() == 1:
        return None if len(_dense(group)) else _draw_point(axes, group, name, look)
    if len(lines) == 1:
        return _draw_run(axes, *lines.values(), name, look)
    return _draw_mean(axes, lines, name, look, crowded)


def _draw_point(axes, group, name, look):
    """One round alone: its mean with a 95 % t interval."""
    spread, place = statistics.mean_interval(100 * group["test_accuracy"]), group["density"].mean()
    if len(group) >= LEAST_IN_BAND and spread.low is not None:
        axes.plot([place, place], [spread.low, spread.high], color=look["color"], linewidth=1.1, zorder=2)
        name = f"{name}: mean of {len(group)} runs, 95 % interval".lstrip(": ")
    elif len(group) > 1:
        name = f"{name}: mean of {len(group)} runs".lstrip(": ")
    axes.plot([place], [spread.mean], label=name or "after training", **{**look, "linestyle": "none"})


def _draw_run(axes, rows, name, look):
    axes.plot(rows["density"], 100 * rows["test_accuracy"], label=name or "after pruning", **look)
    # A frame of several runs says which round the ticket is, a run's own which was chosen.
    mark = next((name for name in ("chosen", "exported") if name in rows and (rows[name].fillna(0) == 1).any()), None)
    if mark:
        chosen = rows[rows[mark].fillna(0) == 1]
        axes.plot(
            chosen["density"], 100 * chosen["test_accuracy"], linestyle="none", marker="o", markersize=11,
            markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.3, zorder=4,
            label="chosen round" if mark == "chosen" else "the ticket",
        )  # fmt: skip


def _draw_mean(axes, lines, name, look, crowded):
    colour = look["color"]
    for rows in () if crowded else lines.values():
        axes.plot(rows["density"], 100 * rows["test_accuracy"], color=colour, linewidth=0.7, alpha=0.4)
    # A mean over fewer and fewer runs would jump where one drops out.
    shared = set.intersection(*(set(rows["round"]) for rows in lines.values()))
    kept = [rows[rows["round"].isin(shared)] for rows in lines.values()]
    values = np.array([rows["test_accuracy"] for rows in kept])
    density = np.mean([rows["density"] for rows in kept], axis=0)
    spread = [statistics.mean_interval(100 * column) for column in values.T]
    summary = f"mean of {len(lines)} runs"
    if len(lines) >= LEAST_IN_BAND:
        low, high = [s.low for s in spread], [s.high for s in spread]
        axes.fill_between(density, low, high, color=colour, alpha=0.18, linewidth=0)
        summary += ", 95 % band"
    axes.plot(density, [s.mean for s in spread], label=f"{name}: {summary}" if name else summary, **look)


def _accuracy_axis(axes, percents):
    # The interval of three runs can be wider than everything else: the lines set the scale, the band is cut.
    low, high = percents.min(), percents.max()
    room = max(0.12 * (high - low), 0.5)
    axes.set_ylim(max(low - room, 0.0 - 0.02 * room), min(high + room, 100.0 + 0.02 * room))
    axes.set_ylabel("test accuracy, last epoch (%)")
