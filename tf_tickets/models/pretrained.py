"""Pretrained backbones from files: PyTorch-named arrays into a network, the head as first drawn."""

import os
import pickle

import numpy as np

from tf_tickets.errors import UsageError, reason
from tf_tickets.models import state
from tf_tickets.runtime import files

FORMATS = (".safetensors", ".npz", ".h5", ".pth", ".pt")
# The head never comes along; the stem does when it fits.
_REPLACEABLE = ("linear.", "pre_conv.")


def read(path, said="--pretrained="):
    """The arrays of a file by PyTorch's names.

    Args:
      path: .safetensors, .npz, .h5 as tf_keras saves networks of `models.build` or their weights, or, where torch is
        installed, .pth or .pt, read with weights_only. Of all of them arrays alone are read; nothing is executed.
      said: what stands before the path in messages.

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
    try:
        arrays = readers[suffix](path)
    except UsageError:
        raise
    except Exception as error:  # each library has its own errors for a damaged file
        raise UsageError(f"{said}{path} cannot be read: {reason(error)}") from None
    return {name.removeprefix("module."): array for name, array in arrays.items()}


def _read_safetensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


def _read_npz(path):
    with files.Arrays(path) as archive:
        return archive.all()


def _read_h5(path):
    import h5py

    found, room = {}, files.MOST_BYTES
    with h5py.File(path, "r") as file:
        root = file["model_weights"] if "model_weights" in file else file
        if "layer_names" not in root.attrs:
            raise KeyError("no layer_names inside: save it as .h5, not .weights.h5")
        for layer in root.attrs["layer_names"]:
            for name in root[layer].attrs["weight_names"]:
                leaf = os.path.basename(_text(name)).partition(":")[0]
                # The link itself, not what it may lead to in other files; and nothing that only unpacks to much.
                link, data = root[layer].get(name, getlink=True), root[layer][name]
                room -= data.nbytes
                if not isinstance(link, h5py.HardLink) or data.external or data.is_virtual or room < 0:
                    raise KeyError(f"{_text(name)} is not kept in the file itself, or is too large")
                found[f"{_text(layer)}/{leaf}"] = np.asarray(data)
    return found


def _text(name):
    return name.decode("utf-8") if isinstance(name, bytes) else name


def _read_torch(path):
    try:
        import torch
    except ImportError:
        raise UsageError(
            f"{path} needs torch to be read: install it, or convert the file to .safetensors"
        ) from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # torch's own message advises to execute the file
        raise UsageError(f"{path} holds more than tensors, or is damaged: save its state_dict alone") from None
    content = content.get("state_dict", content)
    return {name: tensor.numpy() for name, tensor in content.items() if hasattr(tensor, "numpy")}


def load(model, arrays):
    """Loads a backbone into a network.

    Args:
      model: a network of `models.build`.
      arrays: from `read`.

    Returns:
      A sentence that names what stayed as drawn and what was left over.

    Raises:
      UsageError: the backbone does not fit.
    """
    arrays = state.torch_named(model, arrays)
    before = state.get_state(model)
    missing, left_over = state.load_state(model, arrays, strict=False, replaceable=_REPLACEABLE)
    head = {name: array for name, array in before.items() if name.startswith("linear/")}
    state.set_state(model, state.get_state(model) | head)
    backbone = [name for name in missing if not name.startswith(_REPLACEABLE)]
    if backbone:
        raise UsageError(
            f"--pretrained holds no {backbone[0]} and {len(backbone) - 1} more tensors of this network's backbone; "
            f"it has left over {', '.join(left_over[:3]) or 'nothing'}: set --model and --width to the file's"
        )
    drawn = [name for name in missing if not name.startswith("linear.")]
    return (
        f"pretrained backbone loaded; as first drawn: the head{''.join(f', {name}' for name in drawn)}; "
        f"left over: {', '.join(left_over) or 'nothing'}"
    )
