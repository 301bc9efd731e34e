"""What workers tell each other, as bytes: JSON values, named arrays and errors. What is not as expected is refused."""

import json
import typing

import numpy as np
import safetensors.numpy

from tf_tickets.errors import TicketError


class Malformed(ConnectionError):
    """A message that no worker sends; its text says what is wrong with it, as in "sent {text}"."""


class ArraySpec(typing.NamedTuple):
    """What an array has to be; None stands for any length of an axis."""

    shape: tuple
    dtype: np.dtype

    def fits(self, array: np.ndarray) -> bool:
        """Whether the array is such a one."""
        lengths = zip(array.shape, self.shape)
        return (
            array.dtype == self.dtype and array.ndim == len(self.shape)
            and all(wanted is None or length == wanted for length, wanted in lengths)
        )  # fmt: skip


def specs_of(arrays: dict) -> dict:
    """{name: ArraySpec} of named arrays."""
    return {name: ArraySpec(np.shape(array), np.asarray(array).dtype) for name, array in arrays.items()}


def is_whole(value: object, low: int = 0, high: float = float("inf")) -> bool:
    """Whether a JSON value is a whole number from `low` to below `high`."""
    return type(value) is int and low <= value < high


def is_answer(value: object) -> bool:
    """Whether a JSON value is yes or no."""
    return isinstance(value, bool)


def of_value(value: object) -> bytes:
    """The bytes of a JSON value."""
    return json.dumps(value).encode("utf-8")


def to_value(data: bytes) -> typing.Any:
    """The JSON value that `of_value` wrote; Malformed where there is none."""
    try:
        return json.loads(str(data, "utf-8"))
    except (ValueError, RecursionError):
        raise Malformed(f"{len(data):,} bytes that are no JSON") from None


def of_arrays(arrays: dict) -> bytes:
    """The bytes of named arrays, as a safetensors file has them: lengths and names, and no code."""
    return safetensors.numpy.save({name: np.asarray(array) for name, array in arrays.items()})


def to_arrays(data: bytes, expected: dict) -> dict:
    """The arrays that `of_arrays` wrote.

    Args:
      data: the bytes.
      expected: {name: ArraySpec} of all of them.

    Returns:
      {name: array}, in the order of `expected`.

    Raises:
      Malformed: the bytes are no arrays, or others than those expected.
    """
    try:
        arrays = safetensors.numpy.load(bytes(data))
    except Exception:  # bytes that are no such file end in several kinds
        raise Malformed(f"{len(data):,} bytes that are no arrays") from None
    odd = next((name for name in {**expected, **arrays} if name not in arrays or name not in expected), None)
    if odd is not None:
        raise Malformed(f"arrays {'without' if odd in expected else 'with another,'} '{odd[:100]}'")
    for name, spec in expected.items():
        if not spec.fits(arrays[name]):
            here = f"{np.dtype(spec.dtype)} {list(spec.shape)}"
            raise Malformed(f"'{name}' as {arrays[name].dtype} {list(arrays[name].shape)}, which is {here} here")
    return {name: arrays[name] for name in expected}


def of_error(error: TicketError) -> bytes:
    """The bytes that tell another worker of an error."""
    return of_value([type(error).__name__, str(error)[:1000]])


def to_error(data: bytes) -> TicketError:
    """The error that `of_error` wrote; Malformed where there is none."""
    value = to_value(data)
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)):
        raise Malformed("a failure without kind and message")
    known = {kind.__name__: kind for kind in TicketError.__subclasses__()}
    return known.get(value[0], TicketError)(value[1][:1000])
