"""`advise`: what to do with some pictures."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable

from tf_tickets import storage
from tf_tickets.advise import advice_page, advice_rows, backbones, recommendations
from tf_tickets.advise.backbones import Backbone
from tf_tickets.advise.findings import Findings, compute
from tf_tickets.advise.stages import Stages
from tf_tickets.columns import aligned
from tf_tickets.data import sources
from tf_tickets.errors import plain
from tf_tickets.experiments import plan_pictures
from tf_tickets.experiments.plan import check_writable
from tf_tickets.notices import say
from tf_tickets.registry import DATASETS
from tf_tickets.report.sentences import count
from tf_tickets.settings.config import Config

_STEPS = ("features", "thumbnails", "copies", "accuracy", "curve", "page")


@dataclasses.dataclass(frozen=True, repr=False)
class Advice:
    """What was written; it stands for the path of its page wherever a path is asked for.

    Attributes:
      folder: of the page and the CSV files.
      page: path of the page.
      text: the main numbers and what to do, as text.
      findings: all of it.
    """

    folder: str
    page: str
    text: str
    findings: Findings

    def __fspath__(self) -> str:
        """The path of the page."""
        return self.page

    def __repr__(self) -> str:
        """The main numbers, what to do, and where the page is."""
        return f"{self.text}\n\npage: {self.page}"


def advise(
    config: Config, stop: Callable[[], bool] = lambda: False, *, asked: bool = False, command: str = ""
) -> Advice:
    """Looks at the pictures that the settings name, and writes what to do with them.

    Args:
      config: of the request; of its settings those of `backbones.HEEDED` count.
      stop: asked between batches and fits; what the network saw is kept.
      asked: whether the settings say which network.
      command: the command line, for the page.

    Returns:
      An Advice; the same pictures and settings give the same bits.

    Raises:
      UsageError, StateError, StopRequested: see `errors`.
    """
    backbone = backbones.choose(config, asked=asked)
    check_writable(config)
    stages = Stages(config.run.progress, [*(["pretraining"] if backbone.pretraining else []), *_STEPS])
    collection = _looked_at(_made(backbone, stages, stop), stages, stop)
    findings = compute(collection, backbone, config.run.seed, stages=stages, stop=stop)
    stages.begin("page")
    todo = recommendations.recommendations(findings, config)
    folder = _folder(findings, config)
    title = f"What to do with {_named(config)}"
    written = advice_page.write(
        findings, todo, title=title, folder=folder, command=command, files=advice_rows.write(findings, folder)
    )
    stages.end()
    return Advice(folder, written, _text(findings, todo), findings)


def planned(config: Config) -> str:
    """What `--dry_run` prints: the pictures, and the network that would see them. Nothing is touched."""
    backbone = backbones.choose(config, asked=config.network.model != Config().network.model)
    pictures, data_set = DATASETS[config.data.dataset].pictures(config.data.place), sources.facts_of(config.data, True)
    looked_at = f"data        {data_set.name}, {len(data_set.labels):,} classes"
    return "\n".join([
        looked_at if pictures is None else plan_pictures.text(pictures),
        f"network     {backbone.sentence}", f"page        in a folder of {config.run.out}",
    ])  # fmt: skip


def _made(backbone: Backbone, stages: Stages, stop: Callable[[], bool]) -> Backbone:
    """The backbone with its weights, trained now where there were none."""
    if backbone.pretraining is None:
        return backbone
    from tf_tickets.experiments.pretrain import pretrain

    say(f"the network is {backbone.sentence}")
    stages.begin("pretraining")
    path = pretrain(backbone.pretraining, stop).backbone
    return dataclasses.replace(backbone, config=backbone.config.replace(pretrained=path))


def _looked_at(backbone, stages, stop):
    from tf_tickets.advise.collection import gather
    from tf_tickets.experiments import opening, train
    from tf_tickets.experiments.session import Session

    plan, _, _ = train.planned(backbone.config)
    opening.heed(stop)
    return gather(Session(plan), stages, stop)


def _folder(findings, config):
    """The folder of the page: another one for other pictures, another network or another seed."""
    collection = findings.collection
    digest = hashlib.sha256(f"{config.run.seed} {collection.ids} {collection.labels.tolist()}".encode())
    digest.update(collection.features.tobytes())
    os.makedirs(config.run.out, exist_ok=True)
    return storage.subfolder(config.run.out, f"advise-{config.data.file_name}-{digest.hexdigest()[:8]}")


def _named(config):
    """The pictures, as a title has them."""
    data = config.data
    return plain(os.path.basename(os.path.abspath(data.data_dir))) if data.dataset == "folder" else data.dataset


def _text(findings, todo):
    """The main numbers and what to do."""
    estimate, odd = findings.estimate, len({each.row for each in findings.odd})
    left_out = f", {count(findings.repeats, 'near-duplicate')} left out" if findings.repeats else ""
    lines = [("pictures", f"{findings.pictures}{left_out}"), ("network", findings.backbone.sentence)]
    if estimate.accuracy is not None and findings.guesses:
        lines.append(
            ("accuracy", f"not better than guessing yet: {advice_page.interval(estimate.balanced_accuracy)}, by class")
        )
    elif estimate.accuracy is not None:
        lines.append(("accuracy", f"{advice_page.interval(estimate.accuracy)} to expect, 95 % interval"))
    if findings.tested is not None:
        lines.append(("test part", advice_page.interval(findings.tested)))
    across = f"{len(findings.leaks)} between training and test part, {len(findings.contradictions)} in two classes"
    lines += [
        (
            "labels",
            f"{count(len(findings.suspects), 'picture')} to look at" if findings.suspects else "none to look at",
        ),
        ("twice", f"{count(len(findings.pairs), 'pair')}, {across}" if findings.pairs else "none"),
        ("odd", count(odd, "picture") if odd else "none"),
    ]
    steps = "\n".join(f"{number}. {step.title}" for number, step in enumerate(todo, 1))
    return f"{aligned(lines, 'll')}\n\nWhat to do:\n{steps}"
