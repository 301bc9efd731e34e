"""The training step, traced once per run, under any strategy."""

from collections.abc import Callable, Iterator

import numpy as np

from tf_tickets.backend import Devices, keras, tf
from tf_tickets.models import inference, state
from tf_tickets.training import optimizers
from tf_tickets.workers import messages


class Steps:
    """A network, its optimizer and the compiled functions that train it and read logits from it.

    Rounds assign into the same variables, so one trace serves them all; steps of the head alone have another.

    Attributes:
      model: a Keras network with logits out.
      optimizer: built, in the strategy's scope.
      devices: where it computes.
      objective: what is minimised, from `objectives`: function (model, *batch) -> (loss, correct), float32 [n] both.
      taught: what is minimised while there is a teacher.
      teaching: whether there is one.
    """

    def __init__(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer, devices: Devices, objective: Callable,
        taught: Callable | None = None,
    ):  # fmt: skip
        self.model, self.optimizer, self.devices, self.objective = model, optimizer, devices, objective
        self.taught, self.teaching = taught, False
        self._scaled = hasattr(optimizer, "get_scaled_loss")
        with devices.strategy.scope():
            optimizer.build(model.trainable_variables)
        self._fresh = optimizers.get_state(optimizer)
        step = self._replica_step
        # Nothing here has Python control flow on tensors, which is what autograph would translate, for seconds.
        self._step = tf.function(step, jit_compile=True, autograph=False) if devices.jit else step
        self._block = tf.function(self._train_block, autograph=False)
        of_batch = self._replica_gradients
        self._of_batch = tf.function(of_batch, jit_compile=True, autograph=False) if devices.jit else of_batch
        self._gradients = tf.function(self._next_gradients, autograph=False)
        logits = self._replica_logits if devices.workers == 1 else self._own_logits
        self._logits = tf.function(logits, reduce_retracing=True, autograph=False)

    def reset_optimizer(self) -> None:
        """Empties every slot and the step counter."""
        optimizers.set_state(self.optimizer, self._fresh)

    def slots(self, variable: tf.Variable) -> list[tf.Variable]:
        """What the optimizer keeps of a trained variable from step to step."""
        return optimizers.slots(self.optimizer, variable)

    @property
    def optimizer_specs(self) -> dict[str, messages.ArraySpec]:
        """By name, of what `optimizers.get_state` returns."""
        return messages.specs_of(self._fresh)

    @property
    def traces(self) -> int:
        """How often the training step has been traced."""
        return self._block.experimental_get_tracing_count()

    def _inference(self, images, training):
        """The network for steps of the head alone: normalisation keeps its statistics, and normalises by them."""
        return self.model(images, training=False)

    def _replica_step(self, weight, *batch, head_alone=False, teaching=False):
        """One replica's part of a step; returns [sum of losses, correct, examples]."""
        variables = state.head_variables(self.model) if head_alone else self.model.trainable_variables
        gradients, sums = self._replica_gradients(
            weight, *batch, variables=variables, head_alone=head_alone, teaching=teaching
        )
        self.optimizer.apply_gradients(zip(gradients, variables))
        return sums

    def _replica_gradients(self, weight, *batch, variables, head_alone=False, teaching=False):
        """One replica's part of the loss' gradients by some variables; and [sum of losses, correct, examples]."""
        with tf.GradientTape(watch_accessed_variables=not head_alone) as tape:
            if head_alone:
                tape.watch(variables)
            objective = (teaching and self.taught) or self.objective
            per_example, correct = objective(self._inference if head_alone else self.model, *batch)
            # `weight` is one over the global batch, so replicas' gradients add up to the mean over its examples.
            loss = tf.reduce_sum(per_example) * weight
            scaled = self.optimizer.get_scaled_loss(loss) if self._scaled else loss
        gradients = tape.gradient(scaled, variables)
        if self._scaled:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        sums = [tf.cast(tf.reduce_sum(column), tf.float32) for column in (per_example, correct)]
        return gradients, tf.stack([*sums, tf.cast(tf.size(correct), tf.float32)])

    def _next_gradients(self, iterator, variables, teaching=False):
        told = {"variables": variables, "teaching": teaching}
        gradients, sums = self.devices.strategy.run(self._of_batch, iterator.get_next(), told)
        # One by one: of several workers with a device each, a list would be taken for one tensor.
        summed = [
            self.devices.strategy.reduce(tf.distribute.ReduceOp.SUM, part, axis=None) for part in (*gradients, sums)
        ]
        return summed[:-1], summed[-1]

    def _train_block(self, iterator, count, head_alone=False, teaching=False):
        told = {"head_alone": head_alone, "teaching": teaching}
        results = tf.TensorArray(tf.float32, size=count, element_shape=[3])

        def train_step(index, results):
            outcome = self.devices.strategy.run(self._step, iterator.get_next(), told)
            outcome = self.devices.strategy.reduce(tf.distribute.ReduceOp.SUM, outcome, axis=None)
            return index + 1, results.write(index, outcome)

        _, results = tf.while_loop(lambda index, _: index < count, train_step, (0, results))
        return results.stack()

    def train(self, iterator: Iterator, count: int, learning_rate: float, head_alone: bool = False) -> np.ndarray:
        """Runs `count` steps.

        Args:
          iterator: yields (weight, *batch) per replica, from `data.pipeline`.
          count: steps.
          learning_rate: of all of them.
          head_alone: whether nothing but the head moves, by no decay and no statistics either.

        Returns:
          float32 [count, 3]: per step the sum of the losses, the correctly classified and the examples.
        """
        self.optimizer.learning_rate = learning_rate
        return self._block(iterator, tf.constant(count, tf.int32), head_alone, self.teaching).numpy()

    def gradients(
        self, iterator: Iterator, variables: dict[str, tf.Variable]
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The gradient of the next batch's mean loss by some trained variables; no weight moves by it.

        The network is in training mode, so normalisation normalises by the batch and moves its statistics. Replicas'
        gradients are summed, each being of the loss over the global batch.

        Args:
          iterator: as of `train`.
          variables: by name, the same at every call.

        Returns:
          (float32 arrays by name, float32 [1, 3] as of `train`).
        """
        gradients, sums = self._gradients(iterator, list(variables.values()), self.teaching)
        return {name: gradient.numpy() for name, gradient in zip(variables, gradients)}, sums.numpy()[None]

    def _replica_logits(self, images):
        return self.model(images, training=False)

    def _own_logits(self, images):
        # Inside `run` normalisation reads this process's statistics; outside, it would ask all workers for theirs.
        return self.devices.strategy.run(self._replica_logits, args=(images,))

    def logits(self, images: np.ndarray | tf.Tensor) -> np.ndarray:
        """Logits of normalised float32 images [n, height, width, channels], computed on the first local replica."""

        def compute(part):
            return self.devices.strategy.experimental_local_results(self._logits(part))[0].numpy()

        return inference.in_parts(compute, images, self.model)

    def synchronise(self) -> None:
        """Gives all replicas the mean of their normalisation statistics.

        Each replica keeps its own between synchronisations; doing this at every epoch's end makes a resumed run, which
        can only know the mean, equal to an uninterrupted one.
        """
        if self.devices.replicas > 1:
            for variable in self.model.non_trainable_variables:
                if variable.synchronization == tf.VariableSynchronization.ON_READ:
                    variable.assign(np.asarray(variable))
