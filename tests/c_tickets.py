"""Tickets of small random networks, and what the C file of one says after a compiler has taken it."""

import functools
import importlib.util
import shutil
import sys

import numpy as np
import pytest
from test_depthwise import EFFICIENT, network

from tf_tickets.export.c_source import builds, files_text
from tf_tickets.export.ticket import Ticket
from tf_tickets.models import builder, state

# Strides, bottlenecks, cosine filters, depthwise filters, normalisation before convolutions, pooling.
FAST = ("resnet18", "full_conv_resnet18", "vgg11", "mobilenet_v2", "wide_resnet16")

SHAPES, HEADS = ((33, 45, 3), (16, 16, 1), (35, 32, 4)), ("linear", "cosine", "tvmf")

WARNINGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")

GCC = ["gcc"] if shutil.which("gcc") else None

ZIG = [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else None

CLANG = ["clang"] if shutil.which("clang") else ZIG

SANITIZERS = {
    "gcc": "address,undefined",
    # zig has no address sanitizer.
    "clang": "undefined" if CLANG == ZIG else "address,undefined",
}

COMPILERS = {"gcc": GCC, "clang": CLANG}


@functools.cache
def built(name, index):
    """(facts, Keras network) of a registered network: small, of odd sizes, stems and heads in turn."""
    facts = {
        "classes": 7, "image_shape": SHAPES[index % 3], "stem": ("full", "small")[index % 2], "width": 6,
        "head": HEADS[index % 3], "kappa": 16.0,
    }  # fmt: skip
    if name == "efficientnet_lite0":
        facts |= {"width": 8, "image_size": 47, "stem": "full"}
    return facts, builder.build(name, **facts)


def ticket_on(model, density, seed, facts=None, name="vgg11"):
    """A Ticket of a network with random weights, statistics and masks; every fourth kernel is as dense as can be."""
    draws, masks, drawn = np.random.default_rng(seed), {}, {}
    for variable, array in state.get_state(model).items():
        low, high = (0.5, 2.0) if variable.endswith(("variance", "gamma")) else (-0.5, 0.5)
        drawn[variable] = draws.uniform(low, high, array.shape).astype(np.float32)
        if array.ndim == 4:
            share = 1.0 if draws.random() < 0.25 else density
            mask = draws.random(array.shape) < share
            masks[variable.removesuffix("/kernel")] = mask
            # Values of the same size in every layer, so that float32 rounds logits as little as they say.
            drawn[variable] = drawn[variable] * mask * np.float32(2.5 / np.sqrt(max(array[..., 0].size * share, 1.0)))
    state.set_state(model, drawn)
    shape = model.input_shape[1:]
    data = {
        "dataset": "random", "labels": [f"class {i}" for i in range(model.output_shape[1])], "mean": [0.4] * shape[2],
        "deviation": [0.3] * shape[2], "image_shape": list(shape), "dtype": "uint8", "scale": 255.0,
    }  # fmt: skip
    described = {"name": name, "width": 6, **(facts or {})}
    ticket = Ticket(masks, drawn, drawn, described, data=data, settings={}, ids_digest="", round=1)
    ticket.__dict__["model"] = model
    return ticket


def images_of(ticket, count=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *ticket.data["image_shape"])).astype(np.uint8)


def logits_of(ticket, images):
    """By Keras, whose weights are set anew: networks are shared."""
    state.set_state(ticket.model, ticket.trained)
    normalised = (images.astype(np.float32) / np.float32(255) - np.float32(0.4)) / np.float32(0.3)
    return ticket.model(normalised, training=False).numpy()


def answers(files, images, classes, tmp_path, command=GCC, flags=None):
    """(logits, probabilities) of the compiled files."""
    if command is None:
        pytest.skip("there is no such compiler")
    folder = tmp_path / "c"
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with builds.Program(str(folder), classes, command, flags) as program:
        return program.answers(images)


def check(ticket, tmp_path, compiler="gcc", flags=(), images=None):
    """The C file's logits are Keras', with every warning an error and under the sanitizers."""
    flags = [*WARNINGS, *(flags or ("-O1", f"-fsanitize={SANITIZERS[compiler]}", "-fno-sanitize-recover=all"))]
    images = images_of(ticket) if images is None else images
    wanted = logits_of(ticket, images)
    logits, probabilities = answers(
        files_text.of(ticket), images, len(ticket.labels), tmp_path, COMPILERS[compiler], flags
    )
    assert np.isfinite(wanted).all() and np.ptp(wanted) > 1e-3
    np.testing.assert_array_less(np.abs(logits - wanted), 1e-5 * np.maximum(1.0, np.abs(wanted)))
    np.testing.assert_allclose(probabilities, softmax(wanted), atol=1e-5)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module", name="small")
def small_ticket():
    """A ticket of few weights, for what does not ask for more."""
    return ticket_on(network((12, 10, 3), EFFICIENT[:1], channels=4), 0.5, 2)
