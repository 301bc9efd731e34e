"""The sparse convolution compiled by numba, an extra: eight weights at a time over a block of positions."""

import threading

import numba
import numpy as np

# A block of so many positions of all channels stays in the second cache.
_BLOCK = 2048
# So few products are done before a second thread has begun.
_ALONE = 500_000
# numba's simplest threads must not be entered twice at once.
_ONE_AT_A_TIME = threading.Lock()


def convolve(
    flat: np.ndarray, starts: np.ndarray, offsets: np.ndarray, values: np.ndarray, bias: np.ndarray,
    result: np.ndarray, length: int, rectified: bool,
) -> None:  # fmt: skip
    """result[o, j] = bias[o] + sum over the weights i of output o of values[i] x flat[offsets[i] + j].

    Args:
      flat: float32 [n], the laid-out maps.
      starts: int32 [outputs + 1], where in `offsets` and `values` each output's weights begin.
      offsets, values: int64 and float32 [weights].
      bias: float32 [outputs].
      result: float32 [outputs, positions], written up to `length`.
      length: positions j.
      rectified: whether negative results become 0.
    """
    if len(values) * length < _ALONE:
        _by_one(flat, starts, offsets, values, bias, result, length, rectified, _BLOCK)
        return
    with _ONE_AT_A_TIME:
        _by_all(flat, starts, offsets, values, bias, result, length, rectified, _BLOCK)


def _convolve(flat, starts, offsets, values, bias, result, length, rectified, block):
    outputs, blocks = result.shape[0], (length + block - 1) // block
    # All outputs of one block in turn: they read the same positions.
    for task in numba.prange(outputs * blocks):
        output, begin = task % outputs, task // outputs * block
        count = min(block, length - begin)
        row = result[output, begin : begin + count]
        row[:] = bias[output]
        first, last = starts[output], starts[output + 1]
        whole = first + (last - first) // 8 * 8
        for i in range(first, whole, 8):
            # Slices of their own: the compiler then knows nothing of offsets inside the loop and makes it wide.
            v0, v1, v2, v3 = values[i], values[i + 1], values[i + 2], values[i + 3]
            v4, v5, v6, v7 = values[i + 4], values[i + 5], values[i + 6], values[i + 7]
            x0 = flat[offsets[i] + begin : offsets[i] + begin + count]
            x1 = flat[offsets[i + 1] + begin : offsets[i + 1] + begin + count]
            x2 = flat[offsets[i + 2] + begin : offsets[i + 2] + begin + count]
            x3 = flat[offsets[i + 3] + begin : offsets[i + 3] + begin + count]
            x4 = flat[offsets[i + 4] + begin : offsets[i + 4] + begin + count]
            x5 = flat[offsets[i + 5] + begin : offsets[i + 5] + begin + count]
            x6 = flat[offsets[i + 6] + begin : offsets[i + 6] + begin + count]
            x7 = flat[offsets[i + 7] + begin : offsets[i + 7] + begin + count]
            for j in range(count):
                row[j] += (
                    v0 * x0[j] + v1 * x1[j] + v2 * x2[j] + v3 * x3[j]
                    + v4 * x4[j] + v5 * x5[j] + v6 * x6[j] + v7 * x7[j]
                )  # fmt: skip
        for i in range(whole, last):
            value, seen = values[i], flat[offsets[i] + begin : offsets[i] + begin + count]
            for j in range(count):
                row[j] += value * seen[j]
        if rectified:
            for j in range(count):
                row[j] = max(row[j], numba.float32(0.0))


_by_one = numba.njit(fastmath=True, cache=True)(_convolve)
_by_all = numba.njit(fastmath=True, parallel=True, cache=True)(_convolve)
