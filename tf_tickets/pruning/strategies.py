"""Strategies: what is removed, how much of it and when, and where training starts.

`Control` is the search, iterative pruning. Each control changes something of it, and answers everything that is asked
of it: which settings it refuses, which command it belongs to, how many weights each round has, the next masks, where it
starts, and what tables, plans and reports call it. The score (`--criterion`), what is ranked together (`--scope`) and
the start (`--rewind`) are tables of their own, which a control uses unless it says otherwise.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence

from tf_tickets import runs, seeds, storage
from tf_tickets.errors import UsageError
from tf_tickets.lazy_modules import np
from tf_tickets.pruning import criteria, dynamic, starts
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning.control import IMP, RETRAIN, TRAIN, TRAIN_OR_RETRAIN, Control
from tf_tickets.pruning.dynamic import DynamicControl
from tf_tickets.pruning.given import Gradients, Plan, Ticket
from tf_tickets.registry import CONTROLS
from tf_tickets.settings.config import Config
from tf_tickets.settings.data_group import Data
from tf_tickets.settings.groups import Choice, Pruning, Run, Training


@CONTROLS.register("none")
class Search(Control):
    """The search."""

    is_search, made = True, "found by iterative {criterion} pruning"


@CONTROLS.register("random")
class Random(Control):
    """As many weights as the search would remove, drawn."""

    place, title, what = IMP, "random pruning", "the same numbers of weights, drawn"
    made = "made by random pruning, round by round: the weights to remove were drawn"

    def conflicts(self, config: Config) -> list[tuple[bool, str]]:
        """It ranks nothing and waits for nothing."""
        return [
            (config.pruning.mask_distance is not None,
             "--control=random removes weights that no training settles: --mask_distance conflicts"),
            (config.pruning.scope == "layer",
             "--control=random ranks all weights together: --scope=layer conflicts"),
        ]  # fmt: skip

    def scores(
        self, config: Config, weights: dict[str, np.ndarray], masks: dict[str, np.ndarray], round_index: int,
        *, gradients: Gradients,
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """Uniform draws of the run's seed, the round and the layer: nested and the same on every machine."""
        return pruning_masks.random_scores(weights, config.run.seed, round_index)


@CONTROLS.register("random_layerwise")
class RandomLayerwise(Control):
    """A ticket whose positions are drawn anew inside each layer."""

    place, title, what = RETRAIN, "random within layers", "positions drawn in each layer"
    made = "with the mask of a ticket whose positions were drawn anew inside each layer, and its early weights"

    def changed(self, ticket: Ticket, config: Config) -> Ticket:
        """The ticket with other positions, and the whole state at its rewind point, which its run folder keeps."""
        assert config.pruning.ticket is not None, "a ticket is given where one is changed"
        run = runs.RunFolder(os.path.dirname(os.path.abspath(config.pruning.ticket)))
        if (inner := runs.inner_of(ticket.settings)) and not run.inner:
            run = runs.RunFolder(run.path(inner))
        path = starts.state_of(run, ticket.round, ticket.settings["rewind"])
        needs = "--control=random_layerwise needs weights that the ticket does not keep"
        if not os.path.exists(path):
            raise UsageError(f"{needs}: {path} is missing; give the ticket inside its run folder")
        start = storage.read_arrays(path)
        at_zero = all((start[f"{name}/kernel"][~mask] == 0).all() for name, mask in ticket.masks.items())
        if at_zero and ticket.density < 1:
            raise UsageError(f"{needs}, and {path} has them at zero; give a ticket of imp that rewinds to one state")
        masks = pruning_masks.random_layerwise(ticket.masks, config.run.seed)
        return dataclasses.replace(ticket, masks=masks, rewound=start)

    def start_text(self, start: str, conditions: str) -> str:
        """Its positions are others."""
        return f"its mask shuffled inside each layer, {start}{conditions}"


@CONTROLS.register("reinitialize")
class Reinitialize(Control):
    """A ticket's mask on fresh weights."""

    place, title, what = RETRAIN, "mask on fresh weights", "its mask, fresh weights"
    rewinds, made = False, "with the mask of a ticket, trained from fresh weights"

    def initial_seed(self, seed: int) -> int:
        """Another than the ticket's own weights were drawn from."""
        return seeds.fold("reinitialize", seed)

    def content(self, config: Config) -> list[tuple[str, object]]:
        """Its folder is another than earlier versions filled otherwise."""
        return [("initial", "reinitialize")]

    def changed(self, ticket: Ticket, config: Config) -> Ticket:
        """Without the rewind point."""
        return dataclasses.replace(ticket, rewound={})

    def start_text(self, start: str, conditions: str) -> str:
        """It starts afresh, whatever the images are."""
        return "its mask, on fresh weights"


@CONTROLS.register("small_dense")
class SmallDense(Control):
    """A dense network of as many weights as a ticket has left."""

    place, title, what = RETRAIN, "small dense network", "a dense net of as many weights"
    other_network, made = True, "as wide as leaves it no more weights than a ticket that it is compared with"

    def planned(
        self, plan: Plan, ticket: Ticket | None, resolve: Callable[[Config, bool], Plan]
    ) -> tuple[Plan, Ticket | None]:
        """The plan of the widest network with no more prunable weights than the ticket has; no ticket."""
        assert ticket is not None, "its place is RETRAIN"
        wanted = pruning_masks.count(ticket.masks)
        for width in range(ticket.network["width"], 0, -1):
            try:
                smaller = resolve(plan.config.replace(width=width, min_per_layer=0), plan.refits)
            except UsageError:
                continue  # a width that this network cannot have
            if smaller.weights[0] <= wanted:
                return smaller, None
        model = plan.config.network.model
        raise UsageError(f"--control=small_dense: no {model} has as few as {wanted:,} prunable weights")


@CONTROLS.register("probe")
class Probe(Control):
    """A logistic regression on the features of a network, which stays as it is."""

    place, title, what = TRAIN_OR_RETRAIN, "linear probe", "logistic regression on frozen features"
    fits, rewinds = True, False
    made = (
        "whose head is a logistic regression on the features of a network that stayed as it was; the penalty was "
        "chosen by folds inside of the training images"
    )

    def conflicts(self, config: Config) -> list[tuple[bool, str]]:
        """It fits a linear head, on one machine."""
        head, calibration = config.network.head, config.choice.calibration
        return [
            (head != "linear", f"--control=probe fits a linear head: --head={head} conflicts"),
            (config.run.strategy == "multi_worker",
             "--control=probe fits on one machine: --strategy=multi_worker conflicts"),
            (calibration.startswith("folds:"),
             f"--control=probe trains no rounds, which --calibration={calibration} repeats: use "
             "--calibration=validation"),
        ]  # fmt: skip

    def counting(self, config: Config) -> Config:
        """Of training and pruning nothing: images are as evaluation sees them, and one device computes."""
        pruning, choice, run = config.pruning, config.choice, config.run
        return dataclasses.replace(
            config,
            data=dataclasses.replace(config.data, augment="none", batch_size=Data.batch_size),
            training=Training(),
            pruning=Pruning(control=pruning.control, ticket=pruning.ticket, prunable=pruning.prunable, rewind="init"),
            choice=Choice(refit=choice.refit, calibration=choice.calibration),
            run=dataclasses.replace(
                run, accounting=Run.accounting, jit=False, eval_every=None, profile_steps=None, strategy="one_device"
            ),
        )

    def changed(self, ticket: Ticket, config: Config) -> Ticket:
        """It starts, and ends but for its head, with the weights that the ticket was trained to."""
        return dataclasses.replace(ticket, rewound=ticket.trained)

    def start_text(self, start: str, conditions: str) -> str:
        """Nothing of it is trained."""
        return "its mask and its weights as trained, without its head"


class _AtOnce(Control):
    """To the density of the search's last round without its rounds."""

    place, one_density = TRAIN, True

    def conflicts(self, config: Config) -> list[tuple[bool, str]]:
        """It needs a last round, and ranks all weights together."""
        name, pruning = config.pruning.control, config.pruning
        return [
            (pruning.scope == "layer", f"--control={name} ranks all weights together: --scope=layer conflicts"),
            (pruning.rounds < 2,
             f"--control={name} prunes to the density of the last of --rounds: {pruning.rounds} has none"),
        ]  # fmt: skip

    def weights(self, counts: Sequence[int]) -> Sequence[int]:
        """All, and those of the last round."""
        return [counts[0], counts[-1]]

    def content(self, config: Config) -> list[tuple[str, object]]:
        """The density that it prunes to."""
        return [("final_round", config.pruning.rounds - 1)]


@CONTROLS.register("one_shot")
class OneShot(_AtOnce):
    """A dense round, one pruning, and a round of what is left; that round alone where the criterion scores as drawn."""

    title, what, trained_rounds = "pruned at once", "the last round's density in one pruning", 2
    made = "pruned once, by {criterion}, after a dense training, and trained again"

    def starts_sparse(self, config: Config) -> bool:
        """Where the criterion scores the weights as they are drawn."""
        return criteria.iterations_at_initialisation(config.pruning.criterion) > 0

    def rounds_trained(self, config: Config) -> int:
        """The sparse one alone, or the dense one too."""
        return 1 if self.starts_sparse(config) else self.trained_rounds

    def amount(self, counts: Sequence[int]) -> int | None:
        """All that goes."""
        return counts[0] - counts[1]


@CONTROLS.register("gradual")
class Gradual(_AtOnce):
    """Weights removed on the way through one training that is as long as all rounds."""

    title, in_one_run = "gradual pruning", True
    what = "the last round's density by tfmot's polynomial schedule, in one run of as many epochs as all rounds"
    made = "pruned gradually, by {criterion}, on the way through one training"

    def conflicts(self, config: Config) -> list[tuple[bool, str]]:
        """Its length is that of all rounds, which has to be known, and it does not rewind."""
        return [
            *super().conflicts(config),
            (config.pruning.mask_distance is not None,
             "--control=gradual trains as long as all rounds, which --mask_distance leaves open: use --search_epochs"),
            (config.training.schedule == "steps",
             "--control=gradual lengthens the run, which --milestones would not follow: use --schedule=cosine"),
            (config.run.accounting == "release",
             "--control=gradual does not rewind: --accounting=release conflicts"),
        ]  # fmt: skip

    def training(self, training: Training, steps_of_rounds: list[int], steps_per_epoch: int) -> Training:
        """As many epochs as all rounds have together."""
        return dataclasses.replace(training, epochs=-(-sum(steps_of_rounds) // steps_per_epoch))


@CONTROLS.register("rigl")
class RigL(DynamicControl):
    """Weights grown where the loss would fall most (Evci et al. 2020)."""

    title, grows_by_gradient = "RigL", True
    what = "the last round's density throughout, weights dropped by magnitude and grown by gradient"
    made = "trained sparse throughout by RigL: on the way weights were dropped by magnitude and grown by gradient"

    def growth(
        self, config: Config, shapes: Mapping[str, Sequence[int]], step: int, gradients: dict[str, np.ndarray] | None
    ) -> dict[str, np.ndarray]:
        """The absolute value of the gradient."""
        assert gradients is not None, "it grows by gradient"
        return {name: np.abs(gradient) for name, gradient in gradients.items()}


@CONTROLS.register("set")
class SparseEvolutionaryTraining(DynamicControl):
    """Weights grown anywhere (Mocanu et al. 2018), fewer and fewer as in RigL, and from zero."""

    title, what = "SET", "as rigl, but grown at random"
    made = "trained sparse throughout by SET: on the way weights were dropped by magnitude and grown at random"

    def growth(
        self, config: Config, shapes: Mapping[str, Sequence[int]], step: int, gradients: dict[str, np.ndarray] | None
    ) -> dict[str, np.ndarray]:
        """Draws of the run's seed, the step and the layer."""
        return dynamic.drawn(shapes, config.run.seed, step)
