"""Makes torch_stream.pth, torch_zip.pth and torch_tensors.npz: the same tensors, as PyTorch's two formats and numpy's.

Run with PyTorch 2.13 and numpy, in this folder: python make_torch_files.py
"""

import collections

import numpy as np
import torch
from torch import nn


def tensors():
    """Views, strides, offsets, shared storages, an empty one, a scalar, and every kind of number."""
    base = torch.arange(60.0).reshape(1, 3, 4, 5)
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8)
    odd = torch.linspace(-3.0, 3.0, 10).reshape(2, 5)
    return collections.OrderedDict(
        whole=base, turned=base.permute(3, 1, 0, 2), part=base[0, 1:, ::2], last=base[0, 2, 3, 4:],
        spread=torch.tensor([[1.0, 2.0]]).expand(4, 2), empty=torch.empty(0, 3), scalar=torch.tensor(3.5),
        parameter=nn.Parameter(torch.ones(2)), bytes=torch.arange(5, dtype=torch.uint8),
        truth=torch.tensor([True, False]), **{str(kind).removeprefix("torch."): odd.to(kind).t() for kind in kinds},
    )  # fmt: skip


def main():
    """Writes the files."""
    network = nn.Linear(2, 2, bias=False)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    saved = {
        "epoch": 3, "best": 0.5, "name": "made", "none": None, "optimizer": optimizer.state_dict(),
        "state_dict": collections.OrderedDict((f"module.{name}", tensor) for name, tensor in tensors().items()),
    }  # fmt: skip
    saved["state_dict"]._metadata = {"": {"version": 1}}
    torch.save(saved, "torch_stream.pth", _use_new_zipfile_serialization=False)
    torch.save(saved, "torch_zip.pth")
    wide = {torch.bfloat16: torch.float32}
    arrays = {name: tensor.detach() for name, tensor in tensors().items()}
    np.savez_compressed(
        "torch_tensors.npz",
        **{name: part.to(wide.get(part.dtype, part.dtype)).numpy() for name, part in arrays.items()},
    )


if __name__ == "__main__":
    main()
