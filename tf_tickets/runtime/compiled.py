"""Sparse convolutions compiled by numba, an extra: eight weights at a time over a block of positions."""

import threading

import numba
import numpy as np

# A block of so many positions of all channels stays in the second cache.
_BLOCK = 2048
# So few products are done before a second thread has begun.
_ALONE = 500_000
# Channels are worked off in so many parts, each with room of its own.
_PARTS = 16
# numba's simplest threads must not be entered twice at once.
_ONE_AT_A_TIME = threading.Lock()


def convolve(
    flat: np.ndarray, starts: np.ndarray, offsets: np.ndarray, values: np.ndarray, bias: np.ndarray,
    result: np.ndarray, length: int, rectified: bool, most: float | None,
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
      most: of rectified results, what larger ones become; None: they stay.
    """
    given = flat, starts, offsets, values, bias, result, length, rectified, np.float32(most or 0.0), _BLOCK
    _run(_by_one, _by_all, len(values) * length, given)


def depthwise(
    maps: np.ndarray, weights: tuple[np.ndarray, ...], bias: np.ndarray, result: np.ndarray, *, stride: int,
    padding: tuple[int, int], rectified: bool, most: float | None,
) -> None:  # fmt: skip
    """One filter per channel, of which only the weights that are left do work.

    Args:
      maps: float32 [channels, images, height, width], without gaps.
      weights: (starts, rows, columns, values). starts: int32 [channels + 1], where in the others each channel's weights
        begin; rows, columns: int64 [weights], where in its filter each weight stands; values: float32 [weights].
      bias: float32 [channels].
      result: float32 [channels, images, height', width'], written.
      stride: in pixels.
      padding: rows and columns of zeros (before, after) the pixels.
      rectified, most: as of `convolve`.
    """
    high, wide = (-(-(side + sum(padding)) // stride) for side in maps.shape[2:])
    together = max(1, min(maps.shape[1], _BLOCK // (high * wide)))
    given = (
        maps, *weights, bias, result, stride, padding[0], high, wide, together, rectified,
        np.float32(most or 0.0), _BLOCK,
    )  # fmt: skip
    # Each number is laid out and taken back, beside the products.
    work = (len(weights[-1]) + 2 * len(maps)) * maps.shape[1] * high * wide
    _run(_depthwise_by_one, _depthwise_by_all, work, given)


def _run(by_one, by_all, products, given):
    if products < _ALONE:
        by_one(*given)
        return
    with _ONE_AT_A_TIME:
        by_all(*given)


@numba.njit(fastmath=True, cache=True, inline="always")
def _add_products(row, flat, offsets, values, first, last, begin):
    """Adds to a row the products of the weights from `first` to `last` with what they see from `begin` on."""
    count = len(row)
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


@numba.njit(fastmath=True, cache=True, inline="always")
def _rectify(row, rectified, most):
    if rectified and most > 0.0:
        for j in range(len(row)):
            row[j] = min(max(row[j], numba.float32(0.0)), most)
    elif rectified:
        for j in range(len(row)):
            row[j] = max(row[j], numba.float32(0.0))


def _convolve(flat, starts, offsets, values, bias, result, length, rectified, most, block):
    outputs, blocks = result.shape[0], (length + block - 1) // block
    # All outputs of one block in turn: they read the same positions.
    for task in numba.prange(outputs * blocks):
        output, begin = task % outputs, task // outputs * block
        row = result[output, begin : begin + min(block, length - begin)]
        row[:] = bias[output]
        _add_products(row, flat, offsets, values, starts[output], starts[output + 1], begin)
        _rectify(row, rectified, most)


def _depthwise(
    maps, starts, rows, columns, values, bias, result, stride, before, high, wide, together, rectified, most, block
):  # fmt: skip
    channels, images = maps.shape[:2]
    plane = together * high * wide
    shift = rows // stride * wide + columns // stride
    offsets = (rows % stride * stride + columns % stride) * plane + shift
    parts = min(channels, _PARTS)
    for part in numba.prange(parts):
        # So many images at a time, each phase of the stride by itself, lie padded and flat, and their sums too. What
        # lies around the pixels stays zero.
        laid = np.zeros(stride * stride * plane + high * wide, np.float32)
        sums = np.empty(plane, np.float32)
        for channel in range(part * channels // parts, (part + 1) * channels // parts):
            first, last = starts[channel], starts[channel + 1]
            for image in range(0, images, together):
                count = min(together, images - image)
                if first < last:
                    _lay_out(maps[channel, image : image + count], laid, stride, before, high, wide, plane)
                length = count * high * wide
                for begin in range(0, length, block):
                    row = sums[begin : min(begin + block, length)]
                    row[:] = bias[channel]
                    _add_products_by_four(row, laid, offsets, values, first, last, begin)
                    _rectify(row, rectified, most)
                _take_back(sums, result[channel, image : image + count], high, wide)


@numba.njit(fastmath=True, cache=True, inline="always")
def _add_products_by_four(row, flat, offsets, values, first, last, begin):
    """As _add_products, of a multiple of four weights."""
    count = len(row)
    for i in range(first, last, 4):
        v0, v1, v2, v3 = values[i], values[i + 1], values[i + 2], values[i + 3]
        x0 = flat[offsets[i] + begin : offsets[i] + begin + count]
        x1 = flat[offsets[i + 1] + begin : offsets[i + 1] + begin + count]
        x2 = flat[offsets[i + 2] + begin : offsets[i + 2] + begin + count]
        x3 = flat[offsets[i + 3] + begin : offsets[i + 3] + begin + count]
        for j in range(count):
            row[j] += v0 * x0[j] + v1 * x1[j] + v2 * x2[j] + v3 * x3[j]


@numba.njit(cache=True)
def _lay_out(maps, laid, stride, before, high, wide, plane):
    images, height, width = maps.shape
    for image in range(images):
        for y in range(height):
            seen = maps[image, y]
            begin = (y + before) % stride * stride * plane + (image * high + (y + before) // stride) * wide
            if stride == 1:
                to = laid[begin + before : begin + before + width]
                for x in range(width):
                    to[x] = seen[x]
                continue
            for phase in range(stride):
                left = (phase - before) % stride
                start = begin + phase * plane + (left + before) // stride
                to = laid[start : start + (width - left + stride - 1) // stride]
                if stride == 2:  # which the compiler makes wide where it knows it
                    for x in range(len(to)):
                        to[x] = seen[left + 2 * x]
                else:
                    for x in range(len(to)):
                        to[x] = seen[left + stride * x]


@numba.njit(cache=True)
def _take_back(sums, maps, high, wide):
    images, height, width = maps.shape
    for image in range(images):
        for y in range(height):
            begin = (image * high + y) * wide
            seen, to = sums[begin : begin + width], maps[image, y]
            for x in range(width):
                to[x] = seen[x]


_by_one = numba.njit(fastmath=True, cache=True)(_convolve)
_by_all = numba.njit(fastmath=True, parallel=True, cache=True)(_convolve)
_depthwise_by_one = numba.njit(fastmath=True, cache=True)(_depthwise)
_depthwise_by_all = numba.njit(fastmath=True, parallel=True, cache=True)(_depthwise)
