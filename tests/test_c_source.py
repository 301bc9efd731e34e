"""`--format=c`: a C file predicts what the network does, for every network and compiler."""

import dataclasses

import numpy as np
import pytest
from c_tickets import (
    COMPILERS,
    FAST,
    GCC,
    WARNINGS,
    answers,
    built,
    check,
    images_of,
    logits_of,
    small_ticket,  # noqa: F401
    softmax,
    ticket_on,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from test_depthwise import EFFICIENT, network

from tf_tickets.export import folded
from tf_tickets.export.c_source import calls, files_text, layouts, nodes, tile_kernels
from tf_tickets.export.joint_ticket import Ensemble
from tf_tickets.models import state
from tf_tickets.registry import NETWORKS

NAMES = [name for name in NETWORKS if NETWORKS[name].runtime and not NETWORKS[name].own and ":" not in name]


@pytest.mark.parametrize("name", FAST)
def test_logits_are_the_network_s(name, tmp_path):
    facts, model = built(name, FAST.index(name))
    check(ticket_on(model, 0.1, 3, facts, name), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name, density", [*((name, 0.05) for name in NAMES), *((name, 1.0) for name in FAST)])
def test_logits_of_every_network_by_every_compiler(name, density, compiler, tmp_path):
    index = NAMES.index(name) + (density == 1.0)
    facts, model = built(name, index)
    check(ticket_on(model, density, index, facts, name), tmp_path, compiler)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_fast_mathematics_round_little(name, tmp_path):
    facts, model = built(name, NAMES.index(name))
    ticket = ticket_on(model, 0.05, 5, facts, name)
    images = images_of(ticket)
    for compiler, command in COMPILERS.items():
        if command is not None:
            logits, _ = answers(files_text.of(ticket), images, 7, tmp_path, command)
            wanted = logits_of(ticket, images)
            assert (np.abs(logits - wanted) <= 1e-5 * np.maximum(1.0, np.abs(wanted))).all(), compiler


@pytest.mark.parametrize("shape, sides", [((32, 30, 3), (47, 47)), ((9, 8, 1), (40, 33))])
def test_depthwise_networks_that_enlarge_their_images(shape, sides, tmp_path):
    check(ticket_on(network(shape, EFFICIENT, sides=sides), 0.3, 1), tmp_path)


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_any_size_stride_and_padding(tmp_path_factory, data):
    size = data.draw(st.sampled_from([1, 3, 5, 7, 2]))
    pads = st.tuples(st.integers(0, size), st.integers(0, size))
    shape = (data.draw(st.integers(15, 40)), data.draw(st.integers(15, 40)), data.draw(st.integers(1, 3)))
    block, stem = ((data.draw(st.integers(1, most)), data.draw(pads)) for most in (4, 2))
    model = network(
        shape, [(size, *block)], stem=stem[::-1], most=data.draw(st.sampled_from([0.5, 6.0])),
        channels=data.draw(st.integers(1, 17)),
    )  # fmt: skip
    density = data.draw(st.sampled_from([0.05, 0.5, 1.0]))
    check(ticket_on(model, density, data.draw(st.integers(0, 99))), tmp_path_factory.mktemp("any"))


@pytest.mark.parametrize("density", [0.0, 1e-3])
def test_layers_without_a_weight_are_their_bias(density, tmp_path):
    check(ticket_on(network((20, 20, 3), EFFICIENT[:2]), density, 4), tmp_path)


def test_temperature_changes_probabilities_alone(small, tmp_path):
    images = images_of(small)
    warm = dataclasses.replace(small, calibration={"temperature": 2.5})
    warm.__dict__["model"] = small.model
    logits, probabilities = answers(files_text.of(warm), images, 4, tmp_path)
    np.testing.assert_allclose(logits, logits_of(small, images), atol=1e-5)
    np.testing.assert_allclose(probabilities, softmax(logits_of(small, images) / 2.5), atol=1e-5)


def test_networks_as_one_say_the_mean_of_their_probabilities(small, tmp_path):
    images = images_of(small)
    other = ticket_on(network((12, 10, 3), channels=5), 0.4, 7)
    warm = dataclasses.replace(other, calibration={"temperature": 2.5})
    warm.__dict__["model"] = other.model
    joint = Ensemble([small, warm])
    wanted = (softmax(logits_of(small, images)) + softmax(logits_of(other, images) / 2.5)) / 2
    flags = [*WARNINGS, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    logits, probabilities = answers(files_text.of(joint), images, 4, tmp_path, GCC, flags)
    np.testing.assert_allclose(probabilities, wanted, atol=1e-6)
    np.testing.assert_allclose(logits, np.log(wanted), atol=1e-5)


def test_pixels_of_sixteen_bits(small, tmp_path):
    images = np.random.default_rng(0).integers(0, 20000, (3, 12, 10, 3)).astype(np.uint16)
    deep = dataclasses.replace(small, data=small.data | {"dtype": "uint16", "scale": 10000.0})
    deep.__dict__["model"] = small.model
    logits, _ = answers(files_text.of(deep), images, 4, tmp_path)
    normalised = (images.astype(np.float32) / np.float32(10000) - np.float32(0.4)) / np.float32(0.3)
    state.set_state(small.model, small.trained)
    np.testing.assert_allclose(logits, small.model(normalised, training=False), rtol=1e-5, atol=1e-5)


def test_eight_bits_are_near_and_small(tmp_path):
    facts, model = built("resnet18", 1)
    ticket = ticket_on(model, 0.2, 3, facts, "resnet18")
    images, whole, eight = images_of(ticket, 20), files_text.of(ticket), files_text.of(ticket, quantised=True)
    assert (
        len(eight["ticket.c"]) < 0.6 * len(whole["ticket.c"]) and b"typedef int8_t ticket_weight;" in eight["ticket.c"]
    )
    flags = [*WARNINGS, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    logits, _ = answers(eight, images, 7, tmp_path, GCC, flags)
    wanted = logits_of(ticket, images)
    # Of 127 steps, rounded by half of one at most.
    assert 1e-5 < np.abs(logits - wanted).max() < 0.05 * np.ptp(wanted)


def test_a_scale_is_of_one_output(tmp_path):
    """An output of tiny weights keeps them, whatever its neighbours are."""
    ticket = ticket_on(network((12, 10, 3), EFFICIENT[:1], channels=4), 1.0, 2)
    ticket.trained["linear/kernel"][:, 0] *= 1e-3
    ticket.trained["linear/bias"][0] = 0.0
    images = images_of(ticket)
    logits, _ = answers(files_text.of(ticket, quantised=True), images, 4, tmp_path)
    wanted = logits_of(ticket, images)
    assert np.abs(logits - wanted)[:, 0].max() < 0.1 * np.abs(wanted)[:, 0].max()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_kernels_stay_inside_of_their_maps(data):
    """What a tile reads or writes beyond a row is never of another map that lives, nor beyond the memory."""
    block = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 3)), (data.draw(st.integers(0, 3)),) * 2
    model = network(tuple(data.draw(st.tuples(*[st.integers(12, 40)] * 2))) + (3,), [block, (3, 1, (1, 1))])
    ticket = ticket_on(model, 0.5, 1)
    listed = nodes.of(folded.steps(ticket), tuple(ticket.data["image_shape"]))
    maps, phases, total = layouts.placed(listed)
    last = {name: index for index, node in enumerate(listed) for name in node.inputs}
    for index, node in enumerate(listed):
        living = [
            maps[made.name] for first, made in enumerate(listed)
            if first <= index <= last.get(made.name, first)
        ]  # fmt: skip
        living += [phases[node.name]] if node.name in phases else []
        ranges = sorted((part.start, part.start + part.size) for part in living)
        assert all(before[1] <= after[0] for before, after in zip(ranges, ranges[1:])) and ranges[-1][1] <= total
        if node.slides:
            result = maps[node.name]
            tile = max(tile_kernels.sparse_tile(result.length), tile_kernels.dense_tile(result.length))
            covered = max(result.length, tile)
            assert result.first + (result.channels - 1) * result.plane + covered <= result.start + result.size
            source = phases.get(node.name, maps[node.inputs[0]])
            taps = np.arange(node.size**2)
            offsets = calls.offsets_of(node, source, np.full_like(taps, node.given[0] - 1), taps)
            begin = source.start if node.stride > 1 else source.first - node.padding[0] * (source.pitch + 1)
            assert begin >= source.start and begin + offsets.max() + covered <= source.start + source.size


@given(st.integers(1, 5000))
def test_tiles_cover_rows_with_little_more(length):
    for tile in (tile_kernels.sparse_tile(length), tile_kernels.dense_tile(length)):
        # What is computed beyond a short row lies in the slack behind a map; longer ones repeat some of their own.
        assert tile - length < 16 and (tile >= length or length > 32)
