"""PyTorch's update rules as tf_keras optimizers.

tf_keras' SGD multiplies each gradient by the learning rate on its way into the momentum, and decays weights outside
it. Under a falling learning rate that is a different optimizer. Here decay is coupled, wd x w joins the gradient, and
the learning rate multiplies the whole buffer at use (parity: sgd_steps).
"""

import typing
from collections.abc import Callable, Sequence

import numpy as np

from tf_tickets.backend import keras, tf
from tf_tickets.settings.groups import Training


class _BackboneRate(keras.optimizers.Optimizer):
    """An optimizer whose learning rate is the head's; all other variables have a share of it."""

    # Of Keras' optimizer, which stands beside this class.
    learning_rate: typing.Any
    _var_key: Callable[[tf.Variable], object]
    _share, _head = 1.0, frozenset()

    def set_backbone_share(self, share: float, head: Sequence[tf.Variable]) -> None:
        """The learning rate of all but the variables `head`, over theirs; before the first step."""
        self._share, self._head = share, frozenset(map(self._var_key, head))

    def _rate(self, variable):
        rate = tf.cast(self.learning_rate, variable.dtype)
        return rate if self._share == 1.0 or self._var_key(variable) in self._head else self._share * rate


class SGD(_BackboneRate, keras.optimizers.SGD):
    """v <- m v + (g + wd w); w <- w - lr v."""

    def __init__(self, learning_rate: float, momentum: float = 0.9, coupled_weight_decay: float = 0.0):
        super().__init__(learning_rate=learning_rate, momentum=momentum, jit_compile=False)
        self.coupled_weight_decay = coupled_weight_decay

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """One variable's update; decay is added here, once, after the replicas' gradients are summed."""
        update = gradient + self.coupled_weight_decay * variable
        if self.momentum:
            (velocity,) = self.slots(variable)
            update = velocity.assign(self.momentum * velocity + update)
        variable.assign_sub(self._rate(variable) * update)

    def slots(self, variable: tf.Variable) -> list[tf.Variable]:
        """The buffer of one variable."""
        return [self.momentums[self._index_dict[self._var_key(variable)]]]


class Adam(_BackboneRate, keras.optimizers.Adam):
    """Adam with PyTorch's epsilon, outside the bias-corrected root, and coupled decay before the moments."""

    def __init__(self, learning_rate: float, coupled_weight_decay: float = 0.0):
        super().__init__(learning_rate=learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8, jit_compile=False)
        self.coupled_weight_decay = coupled_weight_decay

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """One variable's update."""
        first, second = self.slots(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        update = gradient + self.coupled_weight_decay * variable
        first = first.assign(self.beta_1 * first + (1.0 - self.beta_1) * update)
        second = second.assign(self.beta_2 * second + (1.0 - self.beta_2) * tf.square(update))
        first = first / (1.0 - tf.pow(tf.constant(self.beta_1, variable.dtype), step))
        second = second / (1.0 - tf.pow(tf.constant(self.beta_2, variable.dtype), step))
        variable.assign_sub(self._rate(variable) * first / (tf.sqrt(second) + self.epsilon))

    def slots(self, variable: tf.Variable) -> list[tf.Variable]:
        """The first and second moments of one variable."""
        index = self._index_dict[self._var_key(variable)]
        return [self._momentums[index], self._velocities[index]]


def build(training: Training, precision: str, head: Sequence[tf.Variable] = ()) -> keras.optimizers.Optimizer:
    """The optimizer of the settings; under mixed_float16 with dynamic loss scaling around it.

    Args:
      training, precision: the settings.
      head: the variables that `backbone_learning_rate` is not for.
    """
    if training.optimizer == "sgd":
        optimizer = SGD(training.learning_rate, training.momentum, training.weight_decay)
    else:
        optimizer = Adam(training.learning_rate, training.weight_decay)
    if training.backbone_learning_rate is not None:
        optimizer.set_backbone_share(training.backbone_learning_rate / training.learning_rate, head)
    if precision != "mixed_float16":
        return optimizer
    return keras.mixed_precision.LossScaleOptimizer(optimizer)  # pyright: ignore[reportCallIssue, reportReturnType]  made by a metaclass


def slots(optimizer: keras.optimizers.Optimizer, variable: tf.Variable) -> list[tf.Variable]:
    """What an optimizer of `build` keeps of a trained variable from step to step, in its shape."""
    return getattr(optimizer, "inner_optimizer", optimizer).slots(variable)  # pyright: ignore[reportOptionalMemberAccess]  a property


def get_state(optimizer: keras.optimizers.Optimizer) -> dict[str, np.ndarray]:
    """All slots and counters, by position."""
    return {f"{index:04d}": np.asarray(variable) for index, variable in enumerate(optimizer.variables)}


def set_state(optimizer: keras.optimizers.Optimizer, arrays: dict[str, np.ndarray]) -> None:
    """Assigns what `get_state` returned; a different number of slots is a ValueError."""
    variables = optimizer.variables
    if len(variables) != len(arrays):
        raise ValueError(f"optimizer has {len(variables)} variables, the state {len(arrays)}")
    for index, variable in enumerate(variables):
        variable.assign(arrays[f"{index:04d}"])
