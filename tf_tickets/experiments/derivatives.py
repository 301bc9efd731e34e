"""What criteria ask of a session's network (pruning.given.Gradients): each computed when it is asked for."""

import functools
from collections.abc import Callable

import numpy as np

from tf_tickets.backend import keras
from tf_tickets.experiments.session import Session
from tf_tickets.models import state
from tf_tickets.pruning import wrapping
from tf_tickets.training.score_derivatives import BatchDerivatives, SynapticFlow, balanced, positive


class Derivatives:
    """Derivatives by the prunable weights, at a state and masks, or where the network stands."""

    def __init__(
        self, session: Session, at: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] | None = None,
        moved: Callable[[], dict[str, np.ndarray]] | None = None, networks: "_Networks | None" = None,
    ):  # fmt: skip
        """Of what.

        Args:
          session: whose network it is.
          at: (state, masks); None: where the network stands.
          moved: function -> the movement that a round has written; None: that of the steps so far.
          networks: that others have built.
        """
        self._session, self._at, self._moved = session, at, moved
        self._networks = networks or _Networks(session)

    def __call__(self) -> dict[str, np.ndarray]:
        """The gradient of the mean loss over all training images, in inference mode."""
        return self._session.gradients() if self._at is None else self._session.gradients_at(*self._at)

    def at(self, masks: dict[str, np.ndarray]) -> "Derivatives":
        """The same at other masks."""
        return Derivatives(self._session, (self._standing[0], masks), self._moved, self._networks)

    def of_batch(self) -> dict[str, np.ndarray]:
        """The gradient of the mean loss over ten images of each class, in training mode."""
        return self._batch().gradients()

    def hessian_products(self) -> dict[str, np.ndarray]:
        """The Hessian of that loss, softened, times its gradient."""
        return self._batch().hessian_products()

    def synaptic_flow(self) -> dict[str, np.ndarray]:
        """The gradient of the flow through the absolute weights, by these."""
        arrays, masks = self._standing
        write(self._networks.exact, positive(arrays), masks)
        return self._networks.flow()

    def movement(self) -> dict[str, np.ndarray]:
        """Minus the sum, over the steps of the round, of weight times gradient."""
        return self._session.steps.movement if self._moved is None else self._moved()

    def _batch(self):
        write(self._networks.single, *self._standing)
        return self._networks.batch

    @property
    def _standing(self):
        model = self._session.steps.model
        return self._at or (state.get_state(model), wrapping.read_masks(model))


def write(model: keras.Model, arrays: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> None:
    """Writes mask x state into a copy; normalisation that attacked images have for themselves is left out."""
    wrapping.write_state(model, {name: arrays[name] for name in state.variables(model)}, masks)


class _Networks:
    """Copies of the network on the first device, whose weights are no run's, built when they are wanted."""

    def __init__(self, session: Session):
        self._session = session

    @functools.cached_property
    def single(self) -> keras.Model:
        """Of float32."""
        return self._session.copied("float32")

    @functools.cached_property
    def exact(self) -> keras.Model:
        """Of float64."""
        return self._session.copied("float64")

    @functools.cached_property
    def batch(self) -> BatchDerivatives:
        """On images that the run's seed draws."""
        session, plan = self._session, self._session.plan
        images = balanced(session.train, plan.config.run.seed)
        kernels = wrapping.kernel_variables(self.single)
        return BatchDerivatives(self.single, kernels, session.loss, images, session.data_set)

    @functools.cached_property
    def flow(self) -> SynapticFlow:
        """To the logits; to the features where the head is none of sums."""
        model = self.exact
        if self._session.plan.network.head != "linear":
            features = model.get_layer("features").output  # pyright: ignore[reportAttributeAccessIssue]  a layer's
            model = keras.Model(model.input, features)
        return SynapticFlow(model, wrapping.kernel_variables(self.exact))
