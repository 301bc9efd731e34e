"""The rival that comes with a search: a dense network with as many images as all rounds, and the verdict on both.

The rounds' bits do not depend on it, so that it is asked of a finished search too (docs/science.md, The rival). No
TensorFlow is imported before something has to be trained or compared.
"""

import dataclasses
import os
import typing
from collections.abc import Callable, Sequence

from tf_tickets import runs, storage
from tf_tickets.columns import percent
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation import paired
from tf_tickets.experiments import opening
from tf_tickets.experiments.plan import Plan, resolve
from tf_tickets.notices import say
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import IN_FULL
from tf_tickets.workers import messages
from tf_tickets.workers.team import Alone

if typing.TYPE_CHECKING:  # what is imported where it is needed
    from tf_tickets.backend import Devices
    from tf_tickets.experiments.round import Round
    from tf_tickets.experiments.session import Session


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Which network to use.

    Attributes:
      round: the round whose ticket is compared.
      density: its density.
      epochs: those of the dense network.
      part: the images that both are compared on, validation or test.
      difference: ticket against dense.
    """

    round: int
    density: float
    epochs: int
    part: str
    difference: paired.Difference

    @property
    def dense_is_ahead(self) -> bool:
        """Whether the dense network is right more often on these images."""
        return self.difference.mean < 0

    def exports_rival(self, config: Config) -> bool:
        """Whether the dense network becomes the ticket: on images held out for the choice, where nobody else chose."""
        return self.dense_is_ahead and self.part == "validation" and config.choice.choose is None

    def sentence(self) -> str:
        """Which network to use, and why."""
        judged = self.difference
        ticket, dense = (
            f"the ticket of round {self.round} ({percent(self.density)} of the weights)",
            "the dense network",
        )
        kind = "balanced accuracy" if judged.balanced else "accuracy"
        numbers = (
            f"{kind} {percent(judged.first)} against {percent(judged.second)}, {100 * judged.mean:+.1f} points, "
            f"{judged.images:,} {self.part} images, 95 % interval "
            f"[{100 * judged.low + 0.0:+.1f}, {100 * judged.high + 0.0:+.1f}]"
        )
        long = f"{dense} trained as long ({self.epochs} epochs)"
        if not judged.shown:
            better = (
                f"{dense}, which is ahead" if self.dense_is_ahead else "the ticket, which is not behind, and smaller"
            )
            return f"One run shows nothing between {ticket} and {long}: {numbers}; use {better}."
        if self.dense_is_ahead:
            return f"Use {dense}: {ticket} is behind {long}: {numbers}."
        return f"Use {ticket}: it is ahead of {long}: {numbers}."


def is_asked(config: Config) -> bool:
    """Whether a rival is asked for."""
    return config.choice.rival != "none"


def may_be_exported(config: Config) -> bool:
    """Whether a rival is asked for that becomes the ticket where it is better."""
    return is_asked(config) and config.data.validation is not None and config.choice.choose is None


def planned_epochs(plan: Plan) -> int:
    """The epochs that a rival of all planned rounds has; the most, where rounds may end before."""
    return -(-plan.steps_of(range(plan.config.pruning.rounds)) // plan.steps_per_epoch)


def epochs_after(plan: Plan, summaries: Sequence[dict]) -> int:
    """The epochs that a rival has, from the summaries of all rounds: as many steps as they took, to a whole epoch."""
    steps = 0
    for index, summary in enumerate(summaries):
        first, per_epoch = plan.first_step(index), plan.steps_per_epoch
        steps += (first // per_epoch + summary["epochs"]) * per_epoch - first
    return -(-steps // plan.steps_per_epoch)


def resolved(config: Config, epochs: int, refits: bool = False) -> Plan:
    """The plan of a rival: one dense round of so many epochs, which `train` would train with the same bits.

    Args:
      config: of the search.
      refits: whether on all images of the subset.
    """
    alone = config.replace(**IN_FULL, rounds=1, epochs=epochs, control="none", choose=None, refit=False, rival="none")
    return resolve(alone, refits)


def is_complete(folder: runs.RunFolder, epochs: int) -> bool:
    """Whether a rival of so many epochs is there, once what there is has been checked.

    Args:
      folder: of the rival.
      epochs: of the rounds that are there now.
    """
    opening.check(folder, [folder.round(0)])
    return folder.round(0).complete and epochs_of(folder) == epochs


def epochs_of(folder: runs.RunFolder) -> int:
    """The epochs that the rival of a folder was begun with; StateError where its config.cfg is damaged."""
    try:
        return Config.from_flagfile(folder.config).training.epochs
    except UsageError as error:
        raise StateError(f"{error}; restore {folder.config}") from None


def train(
    config: Config, folder: runs.RunFolder, epochs: int, stop: Callable[[], bool], *, team: Alone,
    devices: "Devices | None", first: runs.RoundFolder, refits: bool = False,
) -> "Session | None":  # fmt: skip
    """Trains a rival, or the rest of it; a shorter one, of fewer rounds, makes room.

    Args:
      config: of the search.
      folder: of the rival.
      epochs: that it trains.
      stop: asked between blocks of steps.
      team: that shares the run.
      devices: those of an earlier Session of the same process, if there was one.
      first: round 0 of the search, which teaches it as it teaches the other rounds.
      refits: whether on all images of the subset.

    Returns:
      The Session that trained it; None where it was complete.
    """
    if team.from_chief(lambda: is_complete(folder, epochs), messages.is_answer):
        return None
    from tf_tickets.experiments.rounds import run_rounds

    team.from_chief_alone(lambda: _make_room(folder, epochs))
    if config.training.distillation and config.training.teacher is None:
        config = config.replace(teacher=first.folder)
    plan = resolved(config, epochs, refits)
    return run_rounds(plan, folder, [0], the_round, command="train", stop=stop, team=team, devices=devices)


def the_round(session: "Session", run: runs.RunFolder, index: int) -> "Round":
    """The Round that a rival is, as `rounds.run_rounds` asks for it."""
    from tf_tickets.experiments import searching

    title = f"{'refit, ' if session.plan.refits else ''}dense rival"
    return dataclasses.replace(searching.retraining(session, run, None), title=title)


def _make_room(folder, epochs):
    if os.path.exists(folder.config) and (before := epochs_of(folder)) != epochs:
        say(f"{folder.folder} has {before} epochs, as the rounds had, which now have {epochs}: it is trained anew")
        storage.remove(folder.folder)


def verdict(plan: Plan, folder: runs.RunFolder, chosen: int, epochs: int) -> Verdict | None:
    """The verdict that is on disk, on a round and the rival that is there; None where there is none of both.

    Args:
      plan: of the search.
      folder: of the search.
      chosen: the round.
      epochs: of the rounds that are there now.
    """
    path = folder.rival.verdict
    if not os.path.exists(path) or not is_complete(folder.rival, epochs):
        return None
    facts = storage.read_sealed(path)
    if facts != _identity(plan, folder, chosen) | {"outcomes": facts.get("outcomes")}:
        return None
    density = folder.round(chosen).read_summary()["density"]
    return Verdict(chosen, density, epochs, facts["part"], paired.difference(facts["outcomes"]))


def _identity(plan, folder, chosen):
    """What ties a verdict to two networks and to the images that they are compared on."""
    weights = [storage.file_digest(each.weights) for each in (folder.round(chosen), folder.rival.round(0))]
    part = "validation" if plan.config.data.validation else "test"
    return {"run": folder.name, "round": chosen, "part": part, "weights": weights}


def compare(
    plan: Plan, folder: runs.RunFolder, chosen: int, epochs: int, *, stop: Callable[[], bool], team: Alone,
    session: "Session | None", devices: "Devices | None",
) -> "Devices | None":  # fmt: skip
    """Compares the chosen round with the rival, image by image, and writes what came of it, unless that is there.

    Args:
      plan, folder, chosen, epochs: as `verdict` takes them.
      stop: asked between batches.
      team: that shares the run.
      session: that trained the rival, if there was one.
      devices: those of an earlier Session of the same process, if there was one.

    Returns:
      The devices of the process, where it has a Session now.
    """
    devices = session.devices if session else devices
    if team.from_chief(lambda: verdict(plan, folder, chosen, epochs) is not None, messages.is_answer):
        return devices
    from tf_tickets.experiments.session import Session
    from tf_tickets.workers import joined

    stop = joined.agreed(stop, team)
    opening.heed(stop)
    session = session or Session(resolved(plan.config, epochs), team, devices)
    images = session.test if session.validation is None else session.validation
    compared = folder.round(chosen), folder.rival.round(0)
    ticket, dense = (session.logits_of_round(each, images, stop).argmax(axis=1) for each in compared)
    counts = paired.outcomes(images.labels, ticket, dense, session.data_set.classes)
    team.from_chief_alone(
        lambda: storage.write_json(
            folder.rival.verdict, storage.seal(_identity(plan, folder, chosen) | {"outcomes": counts})
        )
    )
    return session.devices
