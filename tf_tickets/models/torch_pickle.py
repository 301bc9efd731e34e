"""Pickles of tensors, without PyTorch and without executing anything that they name.

A pickle is a program for a machine with a stack. The machine here knows what builds dicts, lists and tensors alone: it
imports nothing, and calls nothing but what is written here.
"""

import io
import math
import pickletools
import typing
from collections.abc import Callable

import numpy as np

from tf_tickets.runtime import files

# Instructions of a pickle; a thousand tensors and their optimizer's state take 100 thousand.
_MOST_STEPS = 1 << 20
# numpy's limit.
_MOST_AXES = 64
_TENSOR, _PARAMETER, _DICT = "tensor", "parameter", "dict"
_ROLES = {
    "torch._utils _rebuild_tensor": _TENSOR, "torch._utils _rebuild_tensor_v2": _TENSOR,
    "torch._utils _rebuild_parameter": _PARAMETER, "collections OrderedDict": _DICT,
}  # fmt: skip
# numpy lacks it: the upper half of a float32.
BFLOAT16 = "bfloat16"
_STORAGES = {
    "torch DoubleStorage": "<f8", "torch FloatStorage": "<f4", "torch HalfStorage": "<f2",
    "torch BFloat16Storage": BFLOAT16, "torch LongStorage": "<i8", "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2", "torch CharStorage": "i1", "torch ByteStorage": "u1", "torch BoolStorage": "?",
}  # fmt: skip
# Instructions that push: their argument, a constant, an empty container, a tuple of the last values.
_ARGUMENTS = (
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
)  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], object]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS, _GETS = ("BINPUT", "LONG_BINPUT", "MEMOIZE"), ("BINGET", "LONG_BINGET")
# Values of an item of the container that an instruction fills.
_FILLS = {"APPEND": 1, "APPENDS": 1, "SETITEM": 2, "SETITEMS": 2}


class Storage(typing.NamedTuple):
    """Numbers one after the other in the file.

    Attributes:
      key: their name there.
      kind: a numpy dtype, or bfloat16.
      count: how many, as the pickle claims.
    """

    key: str
    kind: str
    count: int

    @property
    def stored(self) -> np.dtype:
        """The dtype of their bytes."""
        return np.dtype("<u2" if self.kind == BFLOAT16 else self.kind)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * self.stored.itemsize


class Tensor(typing.NamedTuple):
    """A view of a storage, within it; offset and strides are counted in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype:
        """Of the array that it becomes."""
        return np.dtype("<f4" if self.storage.kind == BFLOAT16 else self.storage.kind)


class _Named(typing.NamedTuple):
    """A class or function of PyTorch's that a pickle names, or the kind of a storage."""

    role: str


class Machine:
    """Executes pickles, as far as they build dicts, lists, tuples, numbers, text and Tensors.

    All that it makes takes memory in proportion to the pickle, however often the pickle refers to it.

    Attributes:
      storages: dict from keys to the Storages that were mentioned.
    """

    def __init__(self):
        self.storages: dict[str, Storage] = {}

    def run(self, stream: io.BytesIO) -> object:
        """What the pickle builds that begins at the stream's position; ValueError for one that does anything else."""
        self._stack, self._outer, self._memo = [], [], {}
        for step, (instruction, argument, place) in enumerate(pickletools.genops(stream)):
            if step == _MOST_STEPS:
                raise ValueError(f"its pickle has more than {_MOST_STEPS:,} instructions")
            if instruction.name == "STOP":
                break
            try:
                self._step(instruction.name, argument)
            except (LookupError, TypeError, AttributeError):
                raise ValueError(f"it is damaged: {instruction.name} at byte {place} of its pickle") from None
        if len(self._stack) != 1:
            raise ValueError("it is damaged: its pickle ends early")
        return self._stack[0]

    def _step(self, name, argument):
        if name in _PUTS:
            self._memo[argument if name != "MEMOIZE" else len(self._memo)] = self._stack[-1]
        elif name == "MARK":
            self._outer.append(self._stack)
            self._stack = []
        elif name in _FILLS:
            self._fill(name)
        elif name == "BUILD":  # an OrderedDict's attributes: versions of modules
            self._stack.pop()
            _of(dict, self._stack[-1])
        elif name not in ("PROTO", "FRAME"):
            value = self._pushed(name, argument)
            self._stack.append(value)

    def _pushed(self, name, argument):
        """What an instruction puts on the stack, in the place of what it takes away."""
        if name in _ARGUMENTS:
            return argument
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name in _EMPTY:
            return _EMPTY[name]()
        if name in _TUPLES:
            return tuple([self._stack.pop() for _ in range(_TUPLES[name])][::-1])
        if name in _GETS:
            return self._memo[argument]
        if name not in _MAKES:
            raise ValueError(f"it holds more than tensors ({name} in its pickle): save its state_dict alone")
        return _MAKES[name](self, argument)

    def _fill(self, name):
        """Puts values into the dict or the list before them."""
        several = name in ("SETITEMS", "APPENDS")
        values = self._marked() if several else [self._stack.pop() for _ in range(_FILLS[name])][::-1]
        if _FILLS[name] == 1:
            _of(list, self._stack[-1]).extend(values)
            return
        for key, value in zip(values[::2], values[1::2]):
            # Of other keys hashes would recur without an end, or be the same for as many as a file likes.
            _of(dict, self._stack[-1])[key if isinstance(key, str) else _natural(key)] = value

    def _marked(self):
        """The values since the last mark, which ends."""
        values, self._stack = self._stack, self._outer.pop()
        return values

    def _called(self, _):
        arguments, function = self._stack.pop(), self._stack.pop()
        return _made(function.role, *arguments)

    def _stack_global(self, _):
        name, module = _of(str, self._stack.pop()), _of(str, self._stack.pop())
        return _named(f"{module} {name}")

    def _storage(self, _):
        """The Storage of a persistent id."""
        word, kind, key, _, count, *view = self._stack.pop()
        if word != "storage" or view not in ([], [None]) or kind.role not in _STORAGES.values():
            raise ValueError("it holds storages of another kind than tensors of PyTorch 0.4 and later have")
        storage = Storage(_of(str, key), kind.role, _natural(count))
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"storage {key} is of two kinds")
        return storage


# What takes values from the stack, and puts one there.
_MAKES: dict[str, Callable[[Machine, str], object]] = {
    "TUPLE": lambda machine, _: tuple(machine._marked()),
    "GLOBAL": lambda _, name: _named(name),
    "STACK_GLOBAL": Machine._stack_global,
    "BINPERSID": Machine._storage,
    "REDUCE": Machine._called,
}


def _named(name):
    role = _ROLES.get(name) or _STORAGES.get(name)
    if role is None:
        raise ValueError(f"it holds {name.replace(' ', '.')}, more than tensors: save its state_dict alone")
    return _Named(role)


def _made(role, *arguments):
    """What comes of a known function: an empty dict, a Tensor, or a parameter's Tensor."""
    if role == _DICT and not arguments:
        return {}
    if role == _PARAMETER:
        return _of(Tensor, arguments[0])
    if role != _TENSOR:
        raise TypeError
    storage, offset, shape, strides = arguments[:4]
    _of(Storage, storage), _natural(offset)
    for numbers in (shape, strides):
        if len(_of(tuple, numbers)) > _MOST_AXES or len(numbers) != len(shape):
            raise ValueError("a tensor has more axes than it can, or not a stride for each")
        for number in numbers:
            _natural(number)
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides))
    if (last >= storage.count and 0 not in shape) or offset > storage.count:
        raise ValueError(f"a tensor reaches beyond its storage {storage.key}, which has {storage.count:,} numbers")
    if math.prod(shape) > files.MOST_BYTES:
        raise ValueError(f"a tensor would have more than {files.MOST_BYTES:,} numbers")
    return Tensor(storage, offset, shape, strides)


def _of(kind, value):
    """The value, which has to be of a type."""
    if not isinstance(value, kind):
        raise TypeError
    return value


def _natural(number):
    """The number, a whole one of at most 63 bits that is not negative."""
    if type(number) is not int or not 0 <= number < 1 << 63:
        raise ValueError("it has other than whole numbers from 0 as a tensor's shape, strides or place, or as a key")
    return number
