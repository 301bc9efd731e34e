"""Convolutions on maps [channels, images, height, width]: dense by BLAS, sparse by SciPy's CSR or compiled by numba.

Padded maps lie flat, one row a channel, so that what a filter sees at one place is a row shifted by a constant: long
copies, and none at all for the compiled kernel. Results at the right and lower edge are of no position and are cut off.
"""

import math
import threading

import numpy as np
from scipy import sparse

from tf_tickets.runtime.program import Sparse

_MOST_SHAPES, _MOST_ARRAYS = 4, 200


class Workspace(threading.local):
    """Arrays that one thread uses again, for all layers: new ones cost as much as the sums of a small layer."""

    def __init__(self):
        self._arrays = {}

    def zeros(self, kind: object, shape: tuple) -> np.ndarray:
        """An array that was zero when it was new; all that ask for this kind and shape overwrite the same part."""
        if (kind, shape) not in self._arrays:
            if len(self._arrays) >= _MOST_ARRAYS:
                self._arrays = {}
            self._arrays[kind, shape] = np.zeros(shape, np.float32)
        return self._arrays[kind, shape]


def padded(maps: np.ndarray, before: int, after: int) -> np.ndarray:
    """Maps [channels, images, height, width] with rows and columns of zeros before and after the pixels."""
    channels, images, height, width = maps.shape
    wider = np.zeros((channels, images, height + before + after, width + before + after), np.float32)
    wider[:, :, before : before + height, before : before + width] = maps
    return wider


def windows(maps: np.ndarray, size: int, stride: int) -> np.ndarray:
    """A view of what each filter sees: [channels, size, size, images, height', width'], nothing copied."""
    channels, images, height, width = maps.shape
    rows, columns = (height - size) // stride + 1, (width - size) // stride + 1
    of_channel, of_image, of_row, of_column = maps.strides
    return np.lib.stride_tricks.as_strided(
        maps, (channels, size, size, images, rows, columns),
        (of_channel, of_row, of_column, of_image, stride * of_row, stride * of_column), writeable=False,
    )  # fmt: skip


def rectify(maps: np.ndarray, most: float | None, out: np.ndarray | None) -> np.ndarray:
    """Negative numbers become 0 and, unless `most` is None, larger ones `most`; as a new array where `out` is None."""
    return np.maximum(maps, 0.0, out=out) if most is None else np.clip(maps, 0.0, np.float32(most), out=out)


class Sliding:
    """What full and depthwise convolutions share: where their filters read, and what becomes of their sums.

    Attributes:
      density: share of weights left.
      size, stride: of the square filters, in pixels.
      padding: rows and columns of zeros (before, after) the pixels.
      channels_in, channels_out: of the maps.
      rectified: whether negative results become 0.
      most: of rectified results, what larger ones become; None: they stay.
      slot: where in the workspace the result lies; no two results that are needed at once have the same.
    """

    density: float
    rectified: bool = False
    most: float | None = None
    slot: int | None = None

    def __init__(self, shape, bias, stride, padding, workspace):
        self.size, self.stride, self.padding = shape[0], stride, padding
        self.channels_in, self.channels_out = shape[2:]
        self._bias = np.zeros(self.channels_out, np.float32) if bias is None else bias.astype(np.float32)
        self._rows, self._columns = np.divmod(np.arange(self.size**2), self.size)
        # With a stride, every stride-th pixel in each direction is a map of its own.
        phases = (self._rows % stride) * stride + self._columns % stride
        self._phases, self._phase_of = np.unique(phases, return_inverse=True)
        self._workspace = workspace

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the result."""
        return tuple((side + sum(self.padding) - self.size) // self.stride + 1 for side in (height, width))

    def forget_dense(self) -> None:
        """Frees what only the dense method needs."""

    def __call__(self, maps: np.ndarray, method: str) -> np.ndarray:
        """[in, images, height, width] -> [out, images, height', width'], in the workspace."""
        raise NotImplementedError

    def _shifts(self, width):
        """How far from a position its filter's places lie in their phases' flat maps, of rows of so many pixels."""
        return self._rows // self.stride * width + self._columns // self.stride

    def _laid_out(self, maps):
        """The padded maps of the phases in use, [phases x channels, images x height x width]; and height, width."""
        stride, (before, after) = self.stride, self.padding
        channels, images, height, width = maps.shape
        if stride == 1 and not before + after and maps.flags.c_contiguous:
            return maps.reshape(channels, -1), (height, width)
        # One row and column more than padding asks for where the stride does not divide.
        high, wide = (-(-(side + before + after) // stride) for side in (height, width))
        phases = self._workspace.zeros(
            (height, width, before, after, stride, *self._phases), (len(self._phases), channels, images, high, wide)
        )
        for index, phase in enumerate(self._phases):
            (first, into), (left, across) = (_first(int(shift), before, stride) for shift in divmod(phase, stride))
            part = maps[:, :, first::stride, left::stride]
            phases[index, :, :, into : into + part.shape[2], across : across + part.shape[3]] = part
        return phases.reshape(len(self._phases) * channels, -1), (high, wide)

    def _rectify(self, result):
        """What the rectifier, if one is part of it, makes of the results, in place."""
        if self.rectified:
            rectify(result, self.most, result)


class Convolution(Sliding):
    """A full convolution, executed `dense`, `sparse` or `compiled`."""

    def __init__(self, weights, bias, stride, padding, workspace):
        super().__init__(weights.shape, bias, stride, padding, workspace)
        if isinstance(weights, Sparse):
            positions, values = weights.positions, weights.values
        else:
            positions = np.flatnonzero(weights)
            values = weights.reshape(-1)[positions]
        self.density = len(values) / max(math.prod(weights.shape), 1)
        inputs, outputs = np.divmod(positions, self.channels_out)
        # One column for each place in the filter and channel, place first, as the kernel itself has them.
        shape = (self.channels_out, self.size**2 * self.channels_in)
        self._matrix = sparse.csr_matrix((values.astype(np.float32), (outputs, inputs)), shape)
        self._dense, self._offsets = None, {}

    def forget_dense(self) -> None:
        """Frees the dense copy of the weights."""
        self._dense = None

    def __call__(self, maps, method):
        """[in, images, height, width] -> [out, images, height', width'], in the workspace."""
        images, (rows, columns) = maps.shape[1], self.shape(*maps.shape[2:])
        flat, (height, width) = self._laid_out(maps)
        shifts = self._shifts(width)
        result = self._workspace.zeros(self.slot, (self.channels_out, flat.shape[1]))
        length = flat.shape[1] - int(shifts.max())
        if method == "compiled":
            from tf_tickets.runtime import compiled

            offsets = self._offsets_of(shifts, flat.shape)
            matrix = self._matrix
            sums = matrix.indptr, offsets, matrix.data, self._bias
            compiled.convolve(flat.reshape(-1), *sums, result, length, self.rectified, self.most)
        else:
            seen = self._seen(flat, shifts, length)
            if method == "dense":
                np.matmul(self._whole(), seen, out=result[:, :length])
            else:
                result[:, :length] = self._matrix @ seen
            result[:, :length] += self._bias[:, np.newaxis]
            self._rectify(result)
        return result.reshape(self.channels_out, images, height, width)[:, :, :rows, :columns]

    def _seen(self, flat, shifts, length):
        """What the filters see, [places x channels, positions]."""
        if self.size == 1:
            return flat
        channels = self.channels_in
        columns = np.empty((len(shifts), channels, length), np.float32)
        for place, (phase, shift) in enumerate(zip(self._phase_of, shifts)):
            columns[place] = flat[phase * channels : (phase + 1) * channels, shift : shift + length]
        return columns.reshape(-1, length)

    def _offsets_of(self, shifts, shape):
        """Where in the flat maps each weight begins to read."""
        if shape not in self._offsets:
            if len(self._offsets) >= _MOST_SHAPES:
                self._offsets.clear()
            places, channels = np.divmod(self._matrix.indices, self.channels_in)
            rows = self._phase_of[places] * self.channels_in + channels
            self._offsets[shape] = (rows * shape[1] + shifts[places]).astype(np.int64)
        return self._offsets[shape]

    def _whole(self):
        if self._dense is None:
            self._dense = self._matrix.toarray()
        return self._dense


def _first(shift, pad, stride):
    """The first pixel of a phase, and where in its padded map it goes."""
    into = max(0, -(-(pad - shift) // stride))
    return into * stride + shift - pad, into
