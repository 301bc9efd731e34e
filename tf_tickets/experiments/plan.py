"""A run resolved on paper: images, steps, rounds, weights. No TensorFlow, nothing touched."""

import dataclasses
import io
import typing
from collections.abc import Iterable, Sequence

import numpy as np

from tf_tickets import runs, storage
from tf_tickets.data import catalog, subsets
from tf_tickets.data.sources import facts_of
from tf_tickets.errors import UsageError
from tf_tickets.experiments import given_network, teaching
from tf_tickets.experiments.round import Round
from tf_tickets.models import architecture
from tf_tickets.models.description import Kernel, Network
from tf_tickets.pruning import criteria, masks
from tf_tickets.registry import CONTROLS, DATASETS, STARTS
from tf_tickets.settings import policies
from tf_tickets.settings.checks import rewind_parts
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import Training
from tf_tickets.training import schedules


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What a configuration amounts to.

    Attributes:
      config: the settings.
      data_set: what is known of its data set.
      network: its description.
      train_counts, validation_counts: images per class; None when `subset_file` decides.
      train_images, validation_images: their sums.
      steps_per_epoch: batches of an epoch.
      rewind_step: the global step at which the rewind point is taken.
      weights: prunable weights left in each round.
      training: the Training settings of a full round; `gradual` has one round of as many epochs as all.
      refits: whether all images of the subset are trained on, those that --validation holds out included.
    """

    config: Config
    data_set: catalog.DataSet
    network: Network
    train_counts: tuple[int, ...] | None
    validation_counts: tuple[int, ...] | None
    train_images: int
    validation_images: int
    steps_per_epoch: int
    rewind_step: int
    weights: tuple[int, ...]
    training: Training
    refits: bool = False

    def of_images(self, train: int, held: int) -> "Plan":
        """The plan for so many images of a `subset_file`, of which it alone does not say how many are held out."""
        return _planned(
            self.config, self.data_set, self.network, train_counts=None, validation_counts=None, train_images=train,
            validation_images=held, refits=self.refits,
        )  # fmt: skip

    @property
    def last_step(self) -> int:
        """The global step at which a full round ends."""
        return self.training.epochs * self.steps_per_epoch

    @property
    def control(self) -> typing.Any:
        """What the run removes and when: a pruning.control.Control."""
        return CONTROLS[self.config.pruning.control]

    @property
    def starts_sparse(self) -> bool:
        """Whether round 0 is pruned before it is trained, and the only one; `weights` are then all, and its own."""
        return self.control.starts_sparse(self.config)

    @property
    def begins_sparse(self) -> bool:
        """Whether the one round has the density of the last of `weights` from its first step on."""
        return self.starts_sparse or self.control.dynamic

    def is_searched(self, round_index: int) -> bool:
        """Whether a round only serves the next mask, and is therefore shortened."""
        return not self.control.in_one_run and round_index not in self.config.pruning.in_full

    def training_of(self, round_index: int) -> Training:
        """The Training settings of a round."""
        epochs = self.config.pruning.search_epochs
        if epochs is None or not self.is_searched(round_index):
            return self.training
        return schedules.shortened(self.training, epochs)

    @property
    def content(self) -> list[tuple[str, object]]:
        """(name, value) pairs that join the digest: the hash of the user's own pictures, and the number of rounds.

        The number counts only where rounds are shortened: the last one is not, so a longer run is another run.
        """
        rounds: list[tuple[str, object]] = (
            [("rounds", self.config.pruning.rounds)] if self.config.pruning.searches else []
        )
        rounds += teaching.content(self.config, self.data_set)
        pictures = DATASETS[self.data_set.name].pictures(self.config.data.place)
        return rounds if pictures is None else [*rounds, ("pictures", pictures.digest)]

    def folder(self, command: str = "imp", content: Sequence[tuple[str, object]] = ()) -> runs.RunFolder:
        """Where the run of a command is."""
        return runs.RunFolder.of(self.config, command, [*content, *self.content])

    @property
    def _late(self):
        # The release takes the weights an epoch after the one at which it resumes the schedule.
        return self.steps_per_epoch if self.config.run.accounting == "release" else 0

    def first_step(self, round_index: int) -> int:
        """The global step at which a round starts."""
        is_untrained = self.training_of(round_index).epochs == 0
        return 0 if round_index == 0 or is_untrained else self.rewind_step - self._late

    def end_step(self, round_index: int) -> int:
        """The global step at which a round ends: where the dense one does, or, as the release counts, as long after.

        A searched round may end before, where its mask has settled.
        """
        last = self.training_of(round_index).epochs * self.steps_per_epoch
        return last + (self.first_step(round_index) if self._late else 0)

    @property
    def members(self) -> int:
        """How many trainings of one round are averaged."""
        return self.config.pruning.soup_members or 1

    def steps_of(self, rounds: Iterable[int]) -> int:
        """The steps of some rounds, of all members of a soup; none where a head is fitted instead."""
        if self.control.fits:
            return 0
        return self.members * sum(self.end_step(index) - self.first_step(index) for index in rounds)

    def round(self, run: runs.RunFolder, index: int, *, rates_of: int | None = None) -> Round:
        """A round on paper, without its masks and its start.

        Args:
          run: the folder.
          index: names the round's folder.
          rates_of: the round whose learning rates it has; None: its own.
        """
        rates_of = index if rates_of is None else rates_of
        pruning, training = self.config.pruning, self.training_of(rates_of)
        last = 0 if self.begins_sparse else len(self.weights) - 1
        finetunes = STARTS[rewind_parts(pruning.rewind)[0]].constant_rate
        constant = pruning.finetune_learning_rate or training.learning_rate / 100.0
        return Round(
            run.round(index), identity=f"{run.name}/round_{index:02d}",
            title=f"{'refit, ' if self.refits else ''}round {index}{f'/{last}' if last else ''}",
            first_step=self.first_step(index), last_step=self.end_step(index), draws_of=index, training=training,
            constant_rate=constant if finetunes and rates_of else None, searched=self.is_searched(index),
            rewind_step=self.rewind_step if index == 0 else None,
        )  # fmt: skip

    @property
    def dense_masks(self) -> dict[str, np.ndarray]:
        """Masks of ones, by layer name."""
        return {kernel.name: np.ones(kernel.shape, bool) for kernel in self.kernels}

    @property
    def prunable(self) -> list[str]:
        """Names of the layers that the ranking sees, in its order."""
        return [kernel.name for kernel in self.kernels]

    @property
    def kernels(self) -> list[Kernel]:
        """The kernels that the ranking sees, in its order."""
        return self.network.prunable(self.config.pruning.prunable)


def resolve(config: Config, refits: bool = False) -> Plan:
    """Makes the plan; UsageError for whatever the data set and network rule out.

    Args:
      config: the settings.
      refits: for the rounds that --refit runs again, on all images of the subset.
    """
    config = given_network.resolved(config)
    data_set = architecture.as_seen(config.network, facts_of(config.data, config.run.dry_run))
    if config.data.dataset != data_set.name:  # of TFDS, with the version that is used: another one is another run
        config = config.replace(dataset=data_set.name)
    config = _with_official_validation(config, data_set)
    _check_augment(config.augment, data_set)
    criteria.check(config, starts_sparse=CONTROLS[config.pruning.control].starts_sparse(config))
    if config.choice.refit and not config.data.validation:
        raise UsageError("--refit needs --validation, such as --validation=0.2: nothing is held out")
    train_counts, held_counts, total = _counts(config.data, data_set)
    if refits and train_counts and held_counts:
        train_counts, held_counts = tuple(map(sum, zip(train_counts, held_counts))), (0,) * len(held_counts)
    held = sum(held_counts) if held_counts else 0
    network = architecture.from_config(config.network, data_set)
    return _planned(
        config, data_set, network, train_counts=train_counts, validation_counts=held_counts,
        train_images=total - held, validation_images=held, refits=refits,
    )  # fmt: skip


def check_writable(config: Config) -> None:
    """UsageError unless `--out` is a folder that can be written, or can be made; of workers the chief alone has to."""
    if config.run.strategy != "multi_worker":
        storage.check_writable(config.run.out)


def _planned(config, data_set, network, *, train_images, **facts):
    """The Plan of so many training images; `facts` are further attributes of it."""
    steps = -(-train_images // config.data.batch_size)
    kind, amount = rewind_parts(config.pruning.rewind)
    rewind_step = amount if STARTS[kind].counts == "steps" else amount * steps
    if config.run.accounting == "release":
        rewind_step += steps
    epochs = min(config.training.epochs, config.pruning.search_epochs or config.training.epochs)
    if rewind_step >= epochs * steps:
        raise UsageError(
            f"--rewind={config.pruning.rewind} must lie before the last of the round's {epochs * steps} steps "
            f"({steps} an epoch)"
        )
    sizes = [kernel.size for kernel in network.prunable(config.pruning.prunable)]
    least = config.pruning.min_per_layer
    if least > min(sizes):
        raise UsageError(f"--min_per_layer={least}: the smallest layer has only {min(sizes)} weights")
    return Plan(
        config=config, data_set=data_set, network=network, train_images=train_images, steps_per_epoch=steps,
        rewind_step=rewind_step, weights=tuple(_weights(config.pruning, sizes)),
        training=_training(config, rewind_step, steps), **facts,
    )  # fmt: skip


def _with_official_validation(config, data_set):
    """A validation part is held out unless told otherwise, by data sets that do so; asked for, it must exist."""
    if data_set.holds_out and data_set.validation_counts and config.data.validation is None:
        return config.replace(validation="official")
    if config.data.validation == "official" and data_set.validation_counts is None:
        fix = DATASETS[data_set.name].adds_validation
        raise UsageError(f"--validation=official: {data_set.name} has no validation part; {fix}")
    return config


def _training(config, rewind_step, steps):
    pruning, full = config.pruning, config.training.epochs
    short = full if pruning.search_epochs is None else pruning.search_epochs
    epochs = [full if index in pruning.in_full else short for index in range(pruning.rounds)]
    of_rounds = [max(0, length * steps - rewind_step * (index > 0)) for index, length in enumerate(epochs)]
    return CONTROLS[pruning.control].training(config.training, of_rounds, steps)


def _weights(pruning, sizes):
    return CONTROLS[pruning.control].weights(_all_weights(pruning, sizes))


def _all_weights(pruning, sizes):
    if pruning.scope == "layer":
        each = [masks.remaining_counts(n, pruning.rate, pruning.rounds, min(pruning.min_per_layer, n)) for n in sizes]
        return [sum(column) for column in zip(*each)]
    return masks.remaining_counts(sum(sizes), pruning.rate, pruning.rounds, pruning.min_per_layer * len(sizes))


def _counts(data, data_set):
    """(train counts per class, validation counts per class, images in all); the counts are None with subset_file."""
    if data.subset_file is not None:
        try:
            with io.TextIOWrapper(storage.open_regular(data.subset_file), encoding="utf-8") as file:
                total = sum(1 for line in file if line.strip())
        except (OSError, UnicodeDecodeError, UsageError) as error:
            raise UsageError(f"--subset_file={data.subset_file} cannot be read: {error}") from None
        if not total:
            raise UsageError(f"--subset_file={data.subset_file} names no image")
        return None, None, total
    if data.validation == "official":
        held = data_set.validation_counts
        drawn = dataclasses.replace(data, validation=None)
        counts = subsets.counts_of(drawn, tuple(n - h for n, h in zip(data_set.train_counts, held)))
        return counts, held, sum(counts) + sum(held)
    counts = subsets.counts_of(data, data_set.train_counts)
    held = tuple(subsets.validation_count(data.validation, n) for n in counts)
    return tuple(n - h for n, h in zip(counts, held)), held, sum(counts)


def _check_augment(policy, data_set):
    steps = policies.parse(policies.expand(policy, data_set.base, data_set.cutout_side))
    problem = policies.check_channels(steps, data_set.image_shape[2])
    levels = [step.name for step in steps if step.operation.levels]
    if levels and data_set.dtype != "uint8":
        problem = f"'{levels[0]}' works on grey levels of 8 bits, and these have 16"
    if problem:
        raise UsageError(f"--augment={policy} on {data_set.name}: {problem}")
