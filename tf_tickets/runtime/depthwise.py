"""Depthwise convolutions, one filter per channel: batched products by BLAS, SciPy's CSR over what is left, or numba."""

import functools

import numpy as np
from scipy import sparse

from tf_tickets.runtime.convolutions import Sliding

# So many numbers of what the filters see at a time stay in the second cache.
_BLOCK = 1 << 17


class Depthwise(Sliding):
    """A depthwise convolution, executed `dense`, `sparse` or `compiled`; its results lie without gaps."""

    def __init__(self, weights, bias, stride, padding, workspace):
        super().__init__(weights.shape, bias, stride, padding, workspace)
        self.channels_out = self.channels_in
        # [channels, places], of which each product of a channel takes a row.
        self._kernel = np.ascontiguousarray(weights.reshape(self.size**2, -1).T, np.float32)
        self._channels, self._places = np.nonzero(self._kernel)
        values = self._kernel[self._channels, self._places]
        self.density = len(values) / max(self._kernel.size, 1)
        starts = np.searchsorted(self._channels, np.arange(self.channels_in + 1)).astype(np.int32)
        # One column for each weight that is left.
        columns = np.arange(len(values), dtype=np.int32)
        self._matrix = sparse.csr_matrix((values, columns, starts), (self.channels_in, len(values)))

    @functools.cached_property
    def _by_four(self):
        """(starts, rows, columns, values) of the weights that are left, some more of value 0 to fill up four each."""
        counts = np.diff(self._matrix.indptr)
        starts = np.concatenate([[0], np.cumsum(-(-counts // 4) * 4)])
        # A zero reads what the channel's last weight reads.
        of_channel = np.repeat(np.arange(self.channels_in), np.diff(starts))
        within = np.arange(starts[-1]) - starts[of_channel]
        taken = self._matrix.indptr[of_channel] + np.minimum(within, counts[of_channel] - 1)
        values = np.where(within < counts[of_channel], self._matrix.data[taken], np.float32(0.0))
        places = self._places[taken]
        return starts, self._rows[places], self._columns[places], values

    def __call__(self, maps, method):
        """[channels, images, height, width] -> [channels, images, height', width'], in the workspace."""
        images, (rows, columns) = maps.shape[1], self.shape(*maps.shape[2:])
        result = self._workspace.zeros(self.slot, (self.channels_in, images, rows, columns))
        if method == "compiled":
            from tf_tickets.runtime import compiled

            compiled.depthwise(
                np.ascontiguousarray(maps), self._by_four, self._bias, result, stride=self.stride, padding=self.padding,
                rectified=self.rectified, most=self.most,
            )  # fmt: skip
            return result
        flat, (height, width) = self._laid_out(maps)
        shifts = self._shifts(width)
        sums = self._workspace.zeros("depthwise", (self.channels_in, flat.shape[1]))
        length = flat.shape[1] - int(shifts.max())
        (self._dense_sums if method == "dense" else self._sparse_sums)(flat, shifts, sums[:, :length])
        of_positions = sums.reshape(self.channels_in, images, height, width)[:, :, :rows, :columns]
        np.add(of_positions, self._bias[:, np.newaxis, np.newaxis, np.newaxis], out=result)
        self._rectify(result)
        return result

    def _dense_sums(self, flat, shifts, sums):
        length = sums.shape[1]
        block = max(1, _BLOCK // (length * len(shifts)))
        seen = self._workspace.zeros("seen", (block, len(shifts), length))
        for first in range(0, self.channels_in, block):
            last = min(first + block, self.channels_in)
            for place, (phase, shift) in enumerate(zip(self._phase_of, shifts)):
                from_row = phase * self.channels_in
                seen[: last - first, place] = flat[from_row + first : from_row + last, shift : shift + length]
            kernels = self._kernel[first:last, np.newaxis]
            np.matmul(kernels, seen[: last - first], out=sums[first:last, np.newaxis])

    def _sparse_sums(self, flat, shifts, sums):
        length, total = sums.shape[1], flat.shape[1]
        starts = (self._phase_of[self._places] * self.channels_in + self._channels) * total + shifts[self._places]
        flat = flat.reshape(-1)
        windows = np.lib.stride_tricks.as_strided(
            flat, (flat.size - length + 1, length), flat.strides * 2, writeable=False
        )
        sums[:] = self._matrix @ windows[starts]
