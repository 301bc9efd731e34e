"""What all rounds of a run share: data in memory, the network built and traced once, evaluation."""

import functools
from collections.abc import Callable, Iterable

import numpy as np

from tf_tickets import augment, own_networks, runs, storage
from tf_tickets.backend import Devices, keras
from tf_tickets.data import pipeline, sources, subsets
from tf_tickets.errors import plain
from tf_tickets.evaluation import accuracy
from tf_tickets.experiments import artefacts, backbone, teaching
from tf_tickets.experiments.plan import Plan
from tf_tickets.experiments.round import Round
from tf_tickets.models import architecture, auxiliary, builder, normalisation, pretrained, state, synchronised
from tf_tickets.notices import say
from tf_tickets.pruning import wrapping
from tf_tickets.settings.checks import folds_of
from tf_tickets.training import losses, objectives, optimizers
from tf_tickets.training.gradients import LossGradient
from tf_tickets.training.steps import Steps
from tf_tickets.workers import joined, messages
from tf_tickets.workers.team import ALONE, Alone


class Session:
    """Data, network and compiled steps of one run.

    Attributes:
      plan: for the images that are there.
      devices: where it computes.
      team: that shares the run.
      source: the data.sources.Source.
      data_set: its catalog.DataSet, measured on the training images where the table has no mean.
      subset: the data.subsets.Subset drawn.
      train, validation, test: data.pipeline.Images; validation is None without a split.
      steps: training.steps.Steps around the wrapped network.
      initial: the network's state before any training.
    """

    def __init__(self, plan: Plan, team: Alone = ALONE, devices: Devices | None = None):
        """`devices` are those of an earlier Session of the same process, if there was one."""
        config, self.team = plan.config, team
        self.devices = devices or joined.devices_of(config.run, self.team, config.data.batch_size)
        self.source = sources.load(config.data.dataset, config.data.place)
        for notice in self.source.notices if devices is None else ():
            say(plain(notice))
        subset = subsets.choose(config.data, self.source.labels, self.source.ids, self.source.held)
        self.subset = subset.whole if plan.refits else subset
        if plan.train_counts is None:
            plan = plan.of_images(len(self.subset.train), len(self.subset.validation))
        self.plan = plan
        self.train = pipeline.Images.of(self.source, self.subset.train, lazy=True)
        self.data_set = pipeline.measured(architecture.as_seen(config.network, self.source.data_set), self.train)
        held = self.subset.validation
        self.validation = pipeline.Images.of(self.source, held, lazy=True) if len(held) else None
        self.test = pipeline.Images.of_test(self.source, lazy=True)
        self.source.release()
        later = [len(subset.whole.train)] if config.choice.refit else []
        if folds := folds_of(config.choice.calibration):
            sizes = np.bincount(self.source.labels[(subset.whole if config.choice.refit else subset).train])
            subsets.check_folds(sizes, folds)
            later += [sum(sizes) - held for held in subsets.fold_sizes(sizes, folds)]
        for images in (len(self.train), *later):  # what cannot be shared is refused before anything is trained
            pipeline.chunks(images, config.data.batch_size, self.devices.replicas)
        with self.devices.strategy.scope():
            network = self.prepare(self._built())
            optimizer = optimizers.build(config.training, config.run.precision, state.head_variables(network))
            self._first, taught = None, None
            if config.training.distillation:
                taught = objectives.distilled(self._loss, self._answers(), config.training)
        self.steps = Steps(network, optimizer, self.devices, self.objective(), taught)
        self.team.allow(self._largest_message())
        self._profiles = config.run.profile_steps is not None

    def _built(self):
        config, described = self.plan.config, self.plan.network
        return builder.build(
            config.network.model, classes=described.classes, image_shape=described.given_shape, stem=described.stem,
            width=described.width, head=described.head, kappa=described.kappa, image_size=described.image_size,
            seed=self.plan.control.initial_seed(config.run.seed), precision=config.run.precision,
        )  # fmt: skip

    def _answers(self):
        """The answers that a network under distillation follows: the teacher's, or those of round 0, see `teach`."""
        training = self.plan.config.training
        if training.teacher is not None:
            return teaching.answers(training.teacher, self.data_set, training.distillation_temperature)
        self._first = self.normalising(self._built())
        return teaching.answers_of(self._first, training.distillation_temperature)

    def teach(self, run: runs.RunFolder, index: int) -> None:
        """Sees to it that a round has its teacher, if it has one: without a network that is given, round 0's is."""
        training = self.plan.config.training
        self.steps.teaching = bool(training.distillation) and (training.teacher is not None or index > 0)
        if self.steps.teaching and self._first is not None:
            state.set_state(self._first, storage.read_arrays(run.round(0).weights))

    def _largest_message(self):
        """Bytes that a message between workers may have: a checkpoint, or the logits of a split, and room to spare."""
        states = sum(array.nbytes for array in self.initial.values())
        logits = 4 * self.data_set.classes * max(len(self.test), len(self.validation or ()))
        # Weights, at most two slots of the optimizer, masks; an epoch's outcomes.
        return (1 << 24) + max(5 * states + 12 * self.plan.steps_per_epoch, 2 * logits)

    def prepare(self, model: keras.Model) -> keras.Model:
        """The network that is trained: the backbone loaded, auxiliary normalisation added, prunable layers wrapped."""
        config = self.plan.config
        if path := config.network.backbone:
            arrays = pretrained.read(path, model=model)
            say(pretrained.load(model, self.plan.network.own_names(model, arrays)))
        state.set_state(model, state.get_state(model) | self.plan.network.own_weights(model))
        model = self.normalising(model)
        if config.training.adversarial:
            model = auxiliary.add(model)
        self.initial = state.get_state(model)
        return wrapping.wrap(model, self.plan.prunable)

    def normalising(self, model: keras.Model) -> keras.Model:
        """The network, with the batch normalisation that is asked for."""
        kinds = {"synchronised": synchronised.synchronise, "frozen": normalisation.freeze}
        kind = self.plan.config.training.batch_norm
        return kinds[kind](model) if kind in kinds else model

    @functools.cached_property
    def _loss(self):
        counts = np.bincount(self.train.labels, minlength=self.data_set.classes)
        return losses.build(self.plan.config.training.loss, counts)

    def objective(self) -> Callable:
        """What a step minimises."""
        training, loss = self.plan.config.training, self._loss
        if training.adversarial:
            return objectives.advprop(loss, self.data_set, training)
        return objectives.supervised(loss)

    def load(self, augmenter: Callable) -> Callable:
        """How images become a batch."""
        data_set, training = self.data_set, self.plan.config.training
        if training.adversarial:
            return pipeline.attacked(data_set, augmenter, training.attack_eps)
        return pipeline.supervised(data_set, augmenter)

    @functools.cached_property
    def _training_batches(self):
        config, data_set = self.plan.config, self.data_set
        policy = augment.resolve(config.augment, data_set)
        shape = data_set.image_shape if data_set.encoded else None
        return pipeline.TrainingBatches(
            self.train, load=self.load(augment.augmenter(policy, shape)), batch_size=config.data.batch_size,
            order_seed=config.order_seed, devices=self.devices, channels=None if shape is None else shape[2],
        )  # fmt: skip

    @functools.cached_property
    def _loss_gradient(self):
        return LossGradient(self.steps.model, self._loss, self.train, self.data_set)

    def gradients(self) -> dict[str, np.ndarray]:
        """The gradient of the mean training loss by the prunable weights, where the network stands."""
        return self._loss_gradient(wrapping.kernel_variables(self.steps.model))

    def gradients_at(self, arrays: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """As `gradients`, at a state and masks, where the network then stands."""
        wrapping.write_state(self.steps.model, arrays, masks)
        return self.gradients()

    def batches(self, round_index: int, first_step: int, end_step: int) -> Iterable:
        """The training batches of a round from one global step to another."""
        return self._training_batches.iterate(round_index, first_step, end_step // self.plan.steps_per_epoch)

    def evaluate(self, images: pipeline.Images, stop: Callable[[], bool] = lambda: False) -> dict[str, float]:
        """Metrics of the current weights on a split; StopRequested when `stop()` says so between batches.

        Of several workers each computes its share of the batches, and all get the same metrics.
        """
        logits = accuracy.logits_of(self.steps.logits, images, self.data_set, stop=stop, team=self.team)
        return accuracy.metrics(logits, images.labels, self.data_set.classes, self.plan.config.training.loss)

    def logits_of_round(
        self, folder: runs.RoundFolder, images: pipeline.Images, stop: Callable[[], bool]
    ) -> np.ndarray:  # fmt: skip
        """Logits, float32 [n, classes], of a complete round's network, which then stands here."""
        weights = self.team.arrays_from_chief(
            lambda: storage.read_arrays(folder.weights), lambda: messages.specs_of(self.initial)
        )
        masks = self.team.arrays_from_chief(
            lambda: storage.read_arrays(folder.mask), lambda: messages.specs_of(self.plan.dense_masks)
        )
        wrapping.write_state(self.steps.model, weights, masks)
        return accuracy.logits_of(self.steps.logits, images, self.data_set, stop=stop, team=self.team)

    def evaluations(self, stop: Callable[[], bool]) -> dict[str, float]:
        """Columns of one epoch's evaluation: test, and validation where there is a split."""
        test = self.evaluate(self.test, stop)
        row = {f"test_{name}": value for name, value in test.items()}
        if self.validation is not None:
            held = self.evaluate(self.validation, stop)
            row |= {f"validation_{name}": held[name] for name in ("accuracy", "balanced_accuracy")}
        return row

    def manifest(self, identity: str) -> dict:
        """Which run this is, and what of."""
        return {
            "identity": identity,
            "replicas": self.devices.replicas,
            **({"workers": self.devices.workers} if self.devices.workers > 1 else {}),
            **({"pictures": dict(self.plan.content)["pictures"]} if self.data_set.own else {}),
            "training_images": len(self.train),
            **backbone.facts(self.plan.config.network),
            **own_networks.origin(self.plan.config.network.model),
            "network": {
                "trainable_parameters": self.plan.network.trainable_parameters(),
                "prunable_weights": self.plan.weights[0],
                "prunable_layers": self.plan.prunable,
            },
        }

    def began(self, run: runs.RunFolder) -> None:
        """Once the folder of the run is open."""
        if self._logs:
            from tf_tickets.experiments import run_scalars

            run_scalars.write_hparams(run, self.plan.config)

    def finish(
        self, run: runs.RunFolder, training_round: Round, rows: list[dict], timed: dict,
        *, facts: dict | None = None,
    ) -> None:  # fmt: skip
        """Writes what a trained round leaves; `facts`: what its summary says beside or in place of its numbers."""
        images = {"test": len(self.test), "validation": len(self.validation or ())}
        artefacts.write(
            run, training_round, rows, timed, plan=self.plan, model=self.steps.model, team=self.team, images=images,
            facts=facts,
        )  # fmt: skip

    def ended(self, run: runs.RunFolder, index: int) -> None:
        """Once a round is complete."""
        if self.team.chief:
            run.remove_superfluous()
        if self._logs:
            from tf_tickets.experiments import run_scalars

            run_scalars.write_round(run, run.round(index).read_summary())

    @property
    def _logs(self):
        return self.plan.config.run.tensorboard and self.team.chief

    @property
    def unreadable(self) -> Exception | None:
        """What the last reading of training images that failed raised, where they are not in memory."""
        return getattr(self.train.pixels, "problem", None)

    def take_profiled_steps(self) -> tuple[int, int] | None:
        """First and last of the steps to profile, counted from the beginning of the training; given out once."""
        steps = self.plan.config.run.profile_steps
        if not self._profiles or steps is None:
            return None
        self._profiles = False
        first, last = map(int, steps.split(":"))
        return first, last

    def subset_rows(self) -> list[dict]:
        """The images in use: id, label, part."""
        parts = [("train", self.subset.train), ("validation", self.subset.validation)]
        rows = [
            {"id": self.source.ids[position], "label": int(self.source.labels[position]), "part": part}
            for part, positions in parts
            for position in positions
        ]
        if self.data_set.own:  # the test part of others is always the same
            rows += [
                {"id": name, "label": int(label), "part": "test"}
                for name, label in zip(self.source.test_ids, self.source.test_labels)
            ]
        return rows
