"""Tickets of PyTorch's pruning: `weight_orig` beside `weight_mask`, as torch.nn.utils.prune saves them."""

import numpy as np

from tf_tickets.data.sources import facts_of
from tf_tickets.errors import UsageError
from tf_tickets.export.ticket import Ticket, data_of, ids_digest, network_of, settings_of
from tf_tickets.models import architecture, builder, pretrained, state
from tf_tickets.pruning.masks import masked_state
from tf_tickets.settings.config import Config

_ORIGINAL, _MASK = ".weight_orig", ".weight_mask"


def read(path: str, config: Config, rewound: str | None = None) -> Ticket:
    """Assembles a Ticket from PyTorch-named files; see `export.from_pytorch`."""
    data_set = architecture.as_seen(config.network, facts_of(config.data))
    if data_set.mean is None:
        raise UsageError(f"--dataset={data_set.name} is measured in each run: import the ticket for another data set")
    described = architecture.from_config(config.network, data_set)
    arrays = pretrained.read(path, said="")
    masks = {name: array for name, array in arrays.items() if name.endswith(_MASK)}
    if not masks:
        raise UsageError(f"{path} holds no *{_MASK}: it is no pruned PyTorch state")
    network = network_of(config, described)
    model = builder.build(**network | {"image_shape": described.given_shape})
    trained = _state(model, arrays, masks, path)
    start = trained if rewound is None else _state(model, pretrained.read(rewound, said=""), masks, rewound)
    kept = _masks(model, masks, described.prunable(config.pruning.prunable), path)
    return Ticket(
        kept, masked_state(trained, kept), masked_state(start, kept), network, data=data_of(data_set),
        settings=settings_of(config), ids_digest=ids_digest([]), round=0,
    )  # fmt: skip


def _state(model, arrays, masks, path):
    """The state of a file, masks multiplied in: those of layers outside the ranking, such as the head, count too."""
    plain = {}
    for name, array in arrays.items():
        if not name.endswith(_MASK):
            array = np.asarray(array, np.float32)
            mask = masks.get(name.replace(_ORIGINAL, ".weight").removesuffix(".weight") + _MASK)
            if mask is not None and mask.shape != array.shape:
                raise UsageError(f"{path}: {name} is {list(array.shape)}, its mask {list(mask.shape)}")
            plain[name.replace(_ORIGINAL, ".weight")] = array if mask is None else array * mask
    try:
        state.load_state(model, plain)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return state.get_state(model)


def _masks(model, masks, prunable, path):
    """Boolean masks in Keras layout; a kernel without one in the file is dense."""
    ones = {f"{kernel.name}/kernel": np.ones(kernel.shape, np.float32) for kernel in prunable}
    for name, mask in masks.items():
        if not np.isin(mask, (0, 1)).all():
            raise UsageError(f"{path}: {name} holds other values than 0 and 1")
    state.set_state(model, state.get_state(model) | ones)
    # Loaded like weights, masks take the way that kernels take from torch's layout to Keras'.
    weights = {name.replace(_MASK, ".weight"): np.asarray(mask, np.float32) for name, mask in masks.items()}
    _, left_over = state.load_state(model, weights, strict=False)
    if left_over:
        raise UsageError(f"{path}: {left_over[0]}_mask fits no layer of the network")
    kernels = state.get_state(model)
    return {kernel.name: kernels[f"{kernel.name}/kernel"] > 0.5 for kernel in prunable}
