"""What a control is: the search itself, of which each control in `strategies` changes something."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tf_tickets.lazy_modules import np
from tf_tickets.pruning import criteria
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning.given import Gradients, Plan, Ticket
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import Pruning, Training

# Where a control belongs, as messages say it.
IMP, TRAIN, RETRAIN = "imp", "train without --ticket", "train --ticket=DIR"
TRAIN_OR_RETRAIN = "train"


class Control:
    """Rounds that each remove a share of the weights left, those of smallest score.

    Attributes:
      place: the command that it belongs to, `IMP`, `TRAIN`, `RETRAIN` or `TRAIN_OR_RETRAIN`; None for both commands.
      title: what tables and figures call it.
      what: what it does, in a few words for `--help`.
      made: how its network came to be, as a ticket's card says it after "image classifier"; {criterion} stands for
        `--criterion`. Unset: `title` and `what`.
      trained_rounds: rounds of `train`, unless it starts sparse.
      in_one_run: whether all is removed during one training as long as all rounds.
      other_network: whether its network is another than the search's, which then is compared by weights left.
      rewinds: whether it starts from the rewind point where it can.
      fits: whether it trains no steps: a logistic regression on frozen features becomes the head.
      one_density: whether a run of it is of one density, that of the last of `--rounds`.
      is_search: whether its later rounds are a search for a ticket, and no rival of one.
      dynamic: whether it trains one sparse network whose mask changes on the way: a pruning.dynamic.DynamicControl.
    """

    place: str | None = None
    title: str = Pruning.criterion
    what: str = ""
    made: str = ""
    trained_rounds: int = 1
    in_one_run: bool = False
    other_network: bool = False
    rewinds: bool = True
    fits: bool = False
    one_density: bool = False
    is_search: bool = False
    dynamic: bool = False

    @property
    def of_a_ticket(self) -> bool:
        """Whether it changes a ticket that is given."""
        return self.place == RETRAIN

    def conflicts(self, config: Config) -> list[tuple[bool, str]]:
        """(whether it is so, message) of the settings that it refuses."""
        return []

    def starts_sparse(self, config: Config) -> bool:
        """Whether round 0 is pruned already, by the weights as they are drawn: the masks of `drawn`."""
        return False

    def rounds_trained(self, config: Config) -> int:
        """Rounds of `train`."""
        return self.trained_rounds

    def counting(self, config: Config) -> Config:
        """The settings of `train` as they count for it: those that have no meaning as they are by default."""
        return config

    def weights(self, counts: Sequence[int]) -> Sequence[int]:
        """Prunable weights left in each of its rounds, from those after each pruning of a search."""
        return counts

    def training(self, training: Training, steps_of_rounds: list[int], steps_per_epoch: int) -> Training:
        """The settings of its full round.

        Args:
          training: that of a round of the search.
          steps_of_rounds: steps that each round of the search would train.
          steps_per_epoch: batches of an epoch.
        """
        return training

    def scores(
        self, config: Config, weights: dict[str, np.ndarray], masks: dict[str, np.ndarray], round_index: int,
        *, gradients: Gradients,
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """What the weights of smallest score are removed by: dict of arrays, see `criteria`."""

        def draws():
            return pruning_masks.random_scores(weights, config.run.seed, round_index)

        return criteria.scores(config.pruning.criterion, weights, masks, gradients, draws=draws)

    def amount(self, counts: Sequence[int]) -> int | None:
        """How many weights the next pruning removes; None: the share `--rate`."""
        return None

    def removed(
        self, plan: Plan, weights: dict[str, np.ndarray], masks: dict[str, np.ndarray], round_index: int,
        *, gradients: Gradients,
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """The masks of round `round_index`.

        Args:
          plan: of the run.
          weights, masks: by layer name, of the round before, in network order.
          round_index: the round that will train with them.
          gradients: function -> the gradient of the training loss by `weights`, for criteria that want it.
        """
        pruning, amount = plan.config.pruning, self.amount(plan.weights)
        scores = self.scores(plan.config, weights, masks, round_index, gradients=gradients)
        amounts = {} if amount is None else {"amount": amount}
        return pruning_masks.SCOPES[pruning.scope](scores, masks, pruning.rate, pruning.min_per_layer, **amounts)

    def drawn(
        self, plan: Plan, weights: dict[str, np.ndarray], *, gradients: Gradients
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """The masks of a round 0 that `starts_sparse`, in the iterations of the criterion.

        Args:
          plan: of the run.
          weights: by layer name, in network order, before any training.
          gradients: what the criterion may ask of the network there.
        """
        pruning, (total, left) = plan.config.pruning, plan.weights
        iterations, masks = criteria.iterations_at_initialisation(pruning.criterion), pruning_masks.dense(weights)
        for iteration in range(1, iterations + 1):
            wanted = left if iteration == iterations else round(total * (left / total) ** (iteration / iterations))
            masked = {name: np.where(masks[name], array, np.float32(0.0)) for name, array in weights.items()}
            scores = self.scores(plan.config, masked, masks, 0, gradients=gradients.at(masks))
            masks = pruning_masks.SCOPES[pruning.scope](
                scores, masks, min_per_layer=pruning.min_per_layer, amount=pruning_masks.count(masks) - wanted
            )
        return masks

    def initial_seed(self, seed: int) -> int:
        """What the initial weights are drawn from."""
        return seed

    def content(self, config: Config) -> list[tuple[str, object]]:
        """(name, value) pairs that join the digest of `train`'s folder."""
        return []

    def planned(
        self, plan: Plan, ticket: Ticket | None, resolve: Callable[[Config, bool], Plan]
    ) -> tuple[Plan, Ticket | None]:
        """(plan, ticket) of `train`: what is trained in the plan's and the ticket's place.

        Args:
          plan: of the settings as given.
          ticket: that is retrained, or None.
          resolve: function (config, refits) -> their plan.
        """
        return plan, ticket

    def changed(self, ticket: Ticket, config: Config) -> Ticket:
        """The ticket as it is retrained: with another mask or start."""
        return ticket

    def details(self, plan: Plan) -> list[str]:
        """Further lines of a plan for people, each a word or two, filled up to twelve letters, and what it says."""
        return []

    def start_text(self, start: str, conditions: str) -> str:
        """How a plan says what of a ticket is trained from where: `from epoch 0`, and when it is otherwise."""
        return f"its mask, {start}{conditions}"
