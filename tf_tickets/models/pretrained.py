"""Pretrained backbones from files: PyTorch-named arrays into a network, the head with its random weights."""

import math
import os
import typing
import zipfile
import zlib

import numpy as np

from tf_tickets import storage
from tf_tickets.errors import TicketError, UsageError, reason
from tf_tickets.models import state, torch_file
from tf_tickets.runtime import files

if typing.TYPE_CHECKING:
    from tf_tickets.backend import keras

FORMATS = (".safetensors", ".npz", ".h5", ".pth", ".pt")
# The head never comes along; the stem does when it fits.
_REPLACEABLE = ("linear.", "pre_conv.")
# Of grey images one kernel is the sum of those of the three colours, exactly where all are normalised alike.
_STEM, _COLOURS = "conv_stem", 3
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# Of .h5 files: deflate, shuffle and fletcher32, by HDF5's numbers.
_FILTERS = (1, 2, 3)


def read(path: str, said: str = "--pretrained=", model: "keras.Model | None" = None) -> dict[str, np.ndarray]:
    """The arrays of a file by PyTorch's names.

    Args:
      path: .safetensors, .npz, .h5 as tf_keras saves networks of `models.build` or their weights, or .pth or .pt of
        torch.save. Of all of them arrays alone are read; nothing is executed.
      said: what stands before the path in messages.
      model: the network they are for. What fits none of its variables is then not read from compressed files: an array
        of the stored shape stands for it, without memory of its own.

    Returns:
      dict of numpy arrays in torch's layout, of .h5 under Keras' names and in its layout. A `state_dict` inside and the
      prefix `module.` are unwrapped.

    Raises:
      UsageError: the file is missing, damaged, or of another kind.
    """
    suffix = os.path.splitext(path)[1]
    readers = {
        ".safetensors": _read_safetensors, ".npz": _read_npz, ".h5": _read_h5, ".pth": _read_torch, ".pt": _read_torch,
    }  # fmt: skip
    if suffix not in readers:
        raise UsageError(f"{said}{path}: '{suffix}' is not one of {', '.join(FORMATS)}")
    sizes = _sizes(model) if model is not None else None
    try:
        with storage.open_regular(path) as file:
            if not file.read(1):
                raise UsageError(f"{said}{path} cannot be read: it is empty")
        arrays = readers[suffix](path, sizes)
    except TicketError:
        raise
    except Exception as error:  # each library has its own errors for a damaged file
        raise UsageError(f"{said}{path} cannot be read: {reason(error)}") from None
    return {name.removeprefix("module."): array for name, array in arrays.items()}


def _sizes(model):
    """Numbers of elements that a network has use for."""
    held = {name: math.prod(variable.shape) for name, variable in state.variables(model).items()}
    colours = {held[f"{_STEM}/kernel"] * _COLOURS} if _grey(model) and f"{_STEM}/kernel" in held else set()
    return colours | set(held.values())


def _grey(model):
    return model.input_shape[-1] == 1


def _read_safetensors(path, sizes):
    from safetensors.numpy import load_file

    return load_file(path)


def _read_npz(path, sizes):
    with storage.open_regular(path) as file, zipfile.ZipFile(file) as archive:
        kept = {}
        for member in archive.namelist():
            with archive.open(member) as array:
                shape, _, dtype = _HEADERS[np.lib.format.read_magic(array)](array)
            kept[member.removesuffix(".npy")] = shape, dtype
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return _wanted(kept, arrays, sizes)


def _read_h5(path, sizes):
    import h5py

    with h5py.File(path, "r") as file:
        root = _member(file, "model_weights") if b"model_weights" in list(file.id) else file
        if "layer_names" not in root.attrs:
            raise KeyError("no layer_names inside: save it as .h5, not .weights.h5")
        arrays = {}
        for layer in map(_text, root.attrs["layer_names"]):
            for name in map(_text, _member(root, layer).attrs["weight_names"]):
                leaf = os.path.basename(name).partition(":")[0]
                arrays[f"{layer}/{leaf}"] = _member(_member(root, layer), name)
        kept = {name: (data.shape, data.dtype) for name, data in arrays.items()}
        return _wanted(kept, _Checked(arrays), sizes)


class _Checked(dict):
    """Datasets of an .h5 file by name, each read when asked for."""

    def __getitem__(self, name):
        """The array; KeyError for one whose bytes lie in other files, or unpack to more than it has."""
        data = super().__getitem__(name)
        properties = data.id.get_create_plist()
        filters = [properties.get_filter(number)[0] for number in range(properties.get_nfilters())]
        if data.external or data.is_virtual or not set(filters) <= set(_FILTERS) or filters.count(_FILTERS[0]) > 1:
            raise KeyError(f"{name} is not kept in the file itself, plainly or by gzip")
        if data.chunks:
            room = math.prod(data.chunks) * data.dtype.itemsize
            if room > files.MOST_BYTES:
                raise KeyError(f"{name} is kept in chunks of {room:,} bytes")
            for number in range(data.id.get_num_chunks() if _FILTERS[0] in filters else 0):
                packed = data.id.read_direct_chunk(data.id.get_chunk_info(number).chunk_offset)[1]
                if len(zlib.decompressobj().decompress(packed, room + 1)) > room:
                    raise KeyError(f"{name} unpacks to more than the {room:,} bytes of a chunk")
        return np.asarray(data)


def _member(group, name):
    """What lies at a path inside an .h5 file; KeyError where a part is a link, which may lead to other files."""
    import h5py

    for part in name.split("/"):
        inside = isinstance(group, h5py.Group)
        if not inside or group.id.links.get_info(part.encode("utf-8")).type != h5py.h5l.TYPE_HARD:
            raise KeyError(f"{name} is not kept in the file itself")
        group = group[part]
    return group


def _wanted(kept, arrays, sizes):
    """Reads arrays whose number of elements a network has use for; of the others the shape is known, which is enough.

    Args:
      kept: dict from names to (shape, dtype).
      arrays: mapping that reads an array when asked for it.
      sizes: set of numbers of elements; None for all.
    """
    bounded, room = {}, files.MOST_BYTES
    for name, (shape, dtype) in kept.items():
        size = math.prod(shape)
        if dtype.kind not in "fiub":
            raise KeyError(f"{name} holds {dtype}, not numbers")
        if sizes is not None and size not in sizes:
            bounded[name] = np.broadcast_to(np.zeros((), dtype), shape)
            continue
        room -= size * dtype.itemsize
        if room < 0:
            raise KeyError(f"{name} and those before it have more than {files.MOST_BYTES:,} bytes")
        bounded[name] = arrays[name]
    return bounded


def _text(name):
    return name.decode("utf-8") if isinstance(name, bytes) else name


def _read_torch(path, sizes):
    with storage.open_regular(path) as file:
        saved = torch_file.File(file)
        kept = {name: (tensor.shape, tensor.dtype) for name, tensor in saved.tensors.items()}
        return _wanted(kept, saved, sizes)


def load(model: "keras.Model", arrays: dict[str, np.ndarray]) -> str:
    """Loads a backbone into a network.

    Args:
      model: a network of `models.build`.
      arrays: from `read`.

    Returns:
      A sentence that names what keeps its random weights, and what of the file is not used.

    Raises:
      UsageError: the backbone does not fit.
    """
    arrays, summed = state.torch_named(model, arrays), ""
    for name, array in arrays.items():
        coloured = name.removeprefix("_") == f"{_STEM}.weight" and array.ndim == 4 and array.shape[1] == _COLOURS
        if coloured and _grey(model):
            arrays, summed = arrays | {name: array.sum(1, keepdims=True)}, f"; summed over colours: {_STEM}.weight"
    before = state.get_state(model)
    missing, left_over = state.load_state(model, arrays, strict=False, replaceable=_REPLACEABLE)
    head = {name: array for name, array in before.items() if name.startswith("linear/")}
    state.set_state(model, state.get_state(model) | head)
    backbone = [name for name in missing if not name.startswith(_REPLACEABLE)]
    if backbone:
        raise UsageError(
            f"--pretrained holds no {backbone[0]} and {len(backbone) - 1} more tensors of this network's backbone; "
            f"of the file are not used {', '.join(left_over[:3]) or 'nothing'}: set --model and --width to the file's"
        )
    drawn = [name for name in missing if not name.startswith("linear.")]
    return (
        f"pretrained backbone loaded; random weights: the head's{''.join(f', {name}' for name in drawn)}; "
        f"not used of the file: {', '.join(left_over) or 'nothing'}{summed}"
    )
