"""Tickets of random weights and masks on every kind of network that the runtime computes."""

import functools
import json

import numpy as np

from tf_tickets.export import keras_program
from tf_tickets.export.ticket import Ticket, to_arrays
from tf_tickets.models import architecture, builder, state

# Every family; strides, poolings, depthwise and bottleneck blocks, both stems, every head.
NETWORKS = [
    ("resnet18", (16, 16, 3), "small", "linear"), ("resnet18", (33, 45, 3), "full", "cosine"),
    ("resnet50", (16, 16, 1), "small", "tvmf"), ("harmonic_resnet18", (16, 16, 3), "small", "linear"),
    ("harmonic_resnet50", (35, 40, 3), "full", "linear"), ("full_conv_resnet18", (9, 12, 3), "small", "tvmf"),
    ("full_conv_resnet50", (16, 16, 3), "small", "linear"), ("vgg11", (32, 32, 3), "small", "linear"),
    ("vgg16", (20, 40, 1), "small", "cosine"), ("mobilenet_v2", (16, 16, 3), "small", "linear"),
    ("mobilenet_v2", (33, 32, 13), "full", "linear"), ("wide_resnet16", (16, 16, 3), "small", "linear"),
    ("wide_resnet16", (33, 45, 3), "full", "tvmf"),
]  # fmt: skip


@functools.cache
def built(name, shape, stem, head):
    """(facts, architecture, Keras network, its first state)."""
    facts = {"classes": 10, "image_shape": shape, "stem": stem, "width": 8, "head": head, "kappa": 16.0}
    model = builder.build(name, **facts)
    return facts, architecture.describe(name, **facts), model, state.get_state(model)


def random_ticket(name, shape, stem, head, density, seed):
    """A Ticket with random weights, statistics and masks; one layer in four has no weight left. Sets the network."""
    generator = np.random.default_rng(seed)
    facts, described, model, start = built(name, shape, stem, head)
    masks = {
        kernel.name: generator.random(kernel.shape) < (density if generator.random() < 0.75 else 0.0)
        for kernel in described.prunable("all")
    }
    found = {}
    for variable, array in start.items():
        low, high = (0.5, 2.0) if variable.endswith(("variance", "gamma")) else (-0.5, 0.5)
        drawn = generator.uniform(low, high, array.shape).astype(np.float32)
        found[variable] = array if array.ndim > 1 else drawn
    for layer, mask in masks.items():
        found[f"{layer}/kernel"] = found[f"{layer}/kernel"] * mask / max(density, 0.05)
    data = {
        "dataset": "random", "labels": [f"class {i}" for i in range(10)], "mean": [0.4] * shape[2],
        "deviation": [0.3] * shape[2], "image_shape": list(shape), "dtype": "uint8", "scale": 255.0,
    }  # fmt: skip
    network = {"name": name, **facts, "image_shape": list(shape)}
    state.set_state(model, found)
    return Ticket(masks, found, found, network, data=data, settings={}, ids_digest="", round=3)


def document_of(ticket, which):
    layers = [{"layer": name, "shape": list(mask.shape)} for name, mask in ticket.masks.items()]
    nodes = json.loads(json.dumps(keras_program.of(built(*NETWORKS[which])[2])))
    return {"program": nodes, "layers": layers, "data": ticket.data, "density": ticket.density}


class Stored:
    """The arrays of a ticket as npz.Arrays has them."""

    def __init__(self, ticket):
        self.arrays = to_arrays(ticket)

    def get(self, name, shape=None, kind="f"):
        return self.arrays[name]
