"""Several networks as one: their probabilities averaged."""

import numpy as np

from tf_tickets.runtime import files
from tf_tickets.runtime.network import Network


class Ensemble:
    """Networks in memory whose probabilities, each at its own temperature, are averaged; used like a Network.

    Attributes:
      members: the Networks.
      labels, image_shape: theirs.
      density: share of all their prunable weights left.
      temperature: 1: logits are the logarithm of the mean probabilities.
    """

    temperature = 1.0

    def __init__(self, members, density):
        self.members: list[Network] = members
        self.density = density
        self.labels, self.image_shape = members[0].labels, members[0].image_shape

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The mean of the members' class probabilities, float32 [n, classes]; see Network.predict."""
        return np.mean([member.predict(images) for member in self.members], axis=0)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """The logarithm of what `predict` gives, float32 [n, classes], also where that is too small for float32."""
        scaled = np.stack([member.logits(images) / np.float32(member.temperature) for member in self.members])
        return _log_sum(scaled - _log_sum(scaled, -1)[..., np.newaxis], 0) - np.float32(np.log(len(self.members)))

    def method(self, images: int = 1) -> dict[str, str]:
        """How each convolution of each member is executed; see Network.method."""
        chosen = ((files.prefix(index), member.method(images)) for index, member in enumerate(self.members))
        return {prefix + name: method for prefix, methods in chosen for name, method in methods.items()}

    def use(self, method: str | None = None) -> None:
        """Executes every convolution in one way; see Network.use."""
        for member in self.members:
            member.use(method)


def _log_sum(values, axis):
    """log(sum(exp(values))) along an axis."""
    largest = values.max(axis=axis, keepdims=True, initial=-np.inf)
    return np.log(np.exp(values - largest).sum(axis=axis)) + np.squeeze(largest, axis)
