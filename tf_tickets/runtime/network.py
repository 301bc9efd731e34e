"""A ticket's network on numpy and SciPy: the choice of dense or sparse, prediction."""

import concurrent.futures
import functools
import math
import os
import time

import numpy as np

from tf_tickets.runtime import convolutions, depthwise, execution, facts, program
from tf_tickets.runtime.files import Damaged

# A chunk of images is as large as keeps the largest unfolded map within this; the compiled kernel unfolds nothing.
_UNFOLDED_BYTES, _UNFOLDED_BYTES_COMPILED = 6 << 20, 16 << 20
# Outside these densities one of both is faster on every machine seen, and is not timed.
_SURELY_SPARSE, _SURELY_DENSE = 0.005, 0.6
_REPEATS = 2


class Network:
    """A network in memory, which threads may share.

    Attributes:
      labels: class names, in the order of the logits.
      image_shape: (height, width, channels) of the images it takes.
      density: share of prunable weights left.
      temperature: what logits are divided by before they become probabilities; 1 where none was fitted.
    """

    def __init__(self, document, arrays, compiled=False):
        if compiled:
            try:
                from tf_tickets.runtime import compiled as _  # noqa: F401  the error comes here, not at the first image
            except ImportError as error:
                raise ImportError("compiled=True needs numba: pip install numba") from error

        self._methods = ("dense", "sparse", "compiled") if compiled else ("dense", "sparse")
        try:
            data, self.density = document["data"], facts.check_density(document["density"])
            facts.check_data(data)
            facts.check_temperature(document.get("calibration"))
            self.temperature: float = (document.get("calibration") or {"temperature": 1.0})["temperature"]
            self.labels, self.image_shape = tuple(data["labels"]), tuple(data["image_shape"])
            self._mean, self._deviation = (np.asarray(data[part], np.float32) for part in ("mean", "deviation"))
            self._dtype, self._scale = np.dtype(data.get("dtype", "uint8")), np.float32(data.get("scale", 255.0))
            self._masked = {layer["layer"]: tuple(layer["shape"]) for layer in document["layers"]}
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise Damaged(f"the ticket's document lacks what prediction needs ({error}); restore it") from None
        steps = program.read(document["program"], functools.partial(_weights, arrays, self._masked))
        try:
            self._operations = execution.prepare(steps, self.image_shape)
        except (ValueError, IndexError, MemoryError) as error:
            raise Damaged(f"the ticket's program does not fit together ({error}); export it again") from None
        if self._operations[-1].shape != (len(self.labels),):
            raise Damaged("the ticket's program does not end in one logit per label; export it again")
        self._fixed, self._chosen = None, {}
        self._largest = max(operation.unfolded for operation in self._operations)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Class probabilities.

        Args:
          images: [n, height, width, channels] of the data set's stored type, uint8 for pictures.

        Returns:
          float32 [n, classes], rows summing to one.

        Raises:
          ValueError: images of another type or shape.
          Damaged: the weights are so large that the answer is no number.
        """
        return facts.probabilities(self.logits(images), self.temperature)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """What `predict` turns into probabilities, float32 [n, classes]."""
        images = np.asarray(images)
        if images.dtype != self._dtype or images.shape[1:] != self.image_shape:
            wanted = f"{self._dtype}[n, {', '.join(map(str, self.image_shape))}]"
            raise ValueError(f"images are {images.dtype}{list(images.shape)}: this ticket takes {wanted}")
        most = _UNFOLDED_BYTES_COMPILED if "compiled" in self._methods else _UNFOLDED_BYTES
        chunk = max(1, most // max(self._largest, 1))
        chunks = [images[start : start + chunk] for start in range(0, len(images), chunk)]
        if len(chunks) > 1 and set(self._choose(chunk).values()) == {"sparse"}:
            # BLAS and the compiled kernel have threads of their own, SciPy has none.
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                parts = list(pool.map(self._run, chunks))
        else:
            parts = [self._run(part) for part in chunks]
        logits = np.concatenate([np.zeros((0, len(self.labels)), np.float32), *parts])
        if not np.isfinite(logits).all():
            raise Damaged("the ticket's network gives no finite numbers: its weights are too large for float32")
        return logits

    def method(self, images: int = 1) -> dict[str, str]:
        """How each convolution is executed on that many images at once: dict from its name to the method."""
        return dict(self._choose(images))

    def use(self, method: str | None = None) -> None:
        """Executes every convolution `dense`, `sparse` or, where it was loaded so, `compiled`; None: timing decides."""
        if method not in (None, *self._methods):
            raise ValueError(f"{method!r} is none of {', '.join(self._methods)}")
        self._fixed, self._chosen = method, {}

    def _run(self, images):
        normalised = (images.astype(np.float32) / self._scale - self._mean) / self._deviation
        maps = np.ascontiguousarray(normalised.transpose(3, 0, 1, 2))
        return execution.run(self._operations, maps, self._choose(len(images))).T

    def _choose(self, images):
        """For each convolution the method that is fastest on that many images, by a short timing."""
        if images not in self._chosen:
            convolved = [
                operation for operation in self._operations if isinstance(operation.compute, convolutions.Sliding)
            ]
            if self._fixed:
                chosen = {operation.name: self._fixed for operation in convolved}
            else:
                chosen = {operation.name: self._fastest(operation, images) for operation in convolved}
                if "compiled" in self._methods:
                    chosen = self._compiled_or(chosen, images)
            self._chosen[images] = chosen
        return self._chosen[images]

    def _fastest(self, operation, images):
        """Dense or sparse for one convolution."""
        convolution = operation.compute
        if not _SURELY_SPARSE < convolution.density < _SURELY_DENSE:
            return "sparse" if convolution.density <= _SURELY_SPARSE else "dense"
        maps = np.ones((operation.input_shape[0], images, *operation.input_shape[1:]), np.float32)
        seconds = {method: _seconds(convolution, maps, method) for method in ("dense", "sparse")}
        if seconds["sparse"] < seconds["dense"]:
            convolution.forget_dense()
            return "sparse"
        return "dense"

    def _compiled_or(self, mixed, images):
        """All compiled, the depthwise ones alone, or none: BLAS' threads wait a while, and the kernel's for theirs."""
        height, width, channels = self.image_shape
        maps = np.ones((channels, images, height, width), np.float32)
        by_channel = [op.name for op in self._operations if isinstance(op.compute, depthwise.Depthwise)]
        candidates = [mixed, dict.fromkeys(mixed, "compiled")]
        if by_channel:
            candidates.append(mixed | dict.fromkeys(by_channel, "compiled"))
        return min(candidates, key=lambda methods: _seconds(execution.run, self._operations, maps, methods))


def _seconds(function, *given):
    """The least time of some calls, after one that warms up."""
    function(*given)
    return min(_timed(function, *given) for _ in range(_REPEATS))


def _timed(function, *given):
    start = time.perf_counter()
    function(*given)
    return time.perf_counter() - start


def _weights(arrays, masked, name, shape):
    """A variable; a masked kernel as program.Sparse."""
    layer = name.removesuffix("/kernel")
    if layer not in masked or not name.endswith("/kernel"):
        return arrays.get(f"trained_variables/{name}", shape)
    if masked[layer] != tuple(shape):
        raise Damaged(f"the ticket's mask of {layer} does not fit its program; export it again")
    total = math.prod(shape)
    bits = arrays.get(f"mask/{layer}", (-(-total // 8),), kind="u")
    positions = np.flatnonzero(np.unpackbits(bits, count=total))
    return program.Sparse(tuple(shape), positions, arrays.get(f"trained/{layer}", (len(positions),)))
