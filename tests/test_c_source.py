"""`--format=c`: a C file predicts what the network does, for every network, compiler and label."""

import ctypes
import dataclasses
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_depthwise import EFFICIENT, network

from tf_tickets.errors import StateError
from tf_tickets.export import folded
from tf_tickets.export.c_source import builds, calls, files_text, layouts, literals, nodes, tile_kernels
from tf_tickets.export.joint_ticket import Ensemble
from tf_tickets.export.ticket import Ticket
from tf_tickets.models import builder, state
from tf_tickets.registry import NETWORKS

NAMES = [name for name in NETWORKS if NETWORKS[name].runtime and not NETWORKS[name].own and ":" not in name]
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
ARM, QEMU = shutil.which("arm-linux-gnueabihf-gcc"), shutil.which("qemu-arm")
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


@pytest.fixture(scope="module")
def small():
    """A ticket of few weights, for what does not ask for more."""
    return ticket_on(network((12, 10, 3), EFFICIENT[:1], channels=4), 0.5, 2)


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


def compiled_main(files, tmp_path, command=GCC, flags=WARNINGS):
    """The program of -DTICKET_MAIN."""
    if command is None:
        pytest.skip("there is no such compiler")
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    program = tmp_path / "program"
    words = [*command, *flags, "-DTICKET_MAIN", str(tmp_path / "ticket.c"), "-o", str(program), "-lm"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return str(program)


def test_its_main_prints_labels_and_probabilities(small, tmp_path):
    images, program = images_of(small, 5), compiled_main(files_text.of(small), tmp_path)
    wanted = softmax(logits_of(small, images))
    (tmp_path / "raw").write_bytes(images.tobytes())
    named = subprocess.run([program, str(tmp_path / "raw")], capture_output=True, check=True)
    piped = subprocess.run([program], input=images.tobytes(), capture_output=True, check=True)
    assert named.stdout == piped.stdout and not named.stderr
    lines = [line.split("\t") for line in piped.stdout.decode().splitlines()]
    assert [label for label, _ in lines] == [f"class {best}" for best in wanted.argmax(axis=1)]
    np.testing.assert_allclose([float(share) for _, share in lines], wanted.max(axis=1), atol=1e-5)
    for given_bytes, said in ((images.tobytes()[:-1], "cut short after 4 images"), (b"", "no image after 0 images")):
        cut = subprocess.run([program], input=given_bytes, capture_output=True)
        assert cut.returncode == 2 and cut.stderr.decode().startswith(f"{said}: one is 360 bytes")
    absent = subprocess.run([program, str(tmp_path / "absent")], capture_output=True)
    assert absent.returncode == 2 and b"absent cannot be opened" in absent.stderr


HOSTILE = [
    'quote " \' and \\ backslash', "two\nlines\r\n", "??/ ??) ??' ??= trigraphs", "*/ int main(void) { /*", "// \\",
    "emoji \U0001f9a9 and \u00e9", "\\0 \\x00 nul-like \\u0000", "%s %n %d", "ends in \\", "1" * 3, "0xf\u2400", " ",
    "long " * 3000, "\x7f\x1b[31m\x01", "#define x", "R\"(raw)\"", "<: %: digraphs",
]  # fmt: skip


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=pytest.mark.slow)])
def test_hostile_labels_and_names_compile_and_are_shown(small, tmp_path, compiler):
    model = network((6, 6, 1), channels=2, classes=len(HOSTILE), stem=((1, 1), 1))
    ticket = ticket_on(model, 1.0, 1)
    named = {
        "data": ticket.data | {"labels": HOSTILE, "dataset": '*/ " \\\n#error ??/'},
        "network": ticket.network | {"name": "*/ evil ??/ \\ \n /*"},
    }
    for best in (0, 4, 12):
        # Whatever the image, it is of this class.
        bias = np.where(np.arange(len(HOSTILE)) == best, np.float32(99), np.float32(0))
        hostile = dataclasses.replace(ticket, trained=ticket.trained | {"linear/bias": bias}, **named)
        hostile.__dict__["model"] = model
        files = files_text.of(hostile)
        text = files["ticket.c"].decode("ascii")
        assert text.count("/*") == text.count("*/") and "??" not in text
        program = compiled_main(files, tmp_path, COMPILERS[compiler], (*WARNINGS, "-Wtrigraphs"))
        shown = subprocess.run([program], input=bytes(36), capture_output=True, check=True).stdout
        assert shown.decode().rpartition("\t")[0] == HOSTILE[best]
    (tmp_path / "labels.c").write_text(
        '#include "ticket.h"\n#include <stdio.h>\n#include <string.h>\nint main(void) { int i;\n'
        "for (i = 0; i < TICKET_CLASSES; i++) fwrite(ticket_labels[i], 1, strlen(ticket_labels[i]) + 1, stdout);"
        "return 0; }\n"
    )
    words = [*COMPILERS[compiler], str(tmp_path / "labels.c"), str(tmp_path / "ticket.c"), "-lm", "-o"]
    subprocess.run([*words, str(tmp_path / "labels")], check=True)
    shown = subprocess.run([str(tmp_path / "labels")], capture_output=True, check=True).stdout
    assert shown.decode().split("\0")[:-1] == HOSTILE


@given(st.text())
def test_strings_and_comments_hold_nothing_that_c_reads(text):
    assert re.fullmatch(r'"(?:[A-Za-z0-9 _.,:;()=+&%#<>|~^!-]|\\[0-7]{3})*"', literals.string(text))
    inside = literals.comment(text)[3:-3]
    assert len(inside) == len(text) and not set(inside) & set("*/\\?\"'\n\r")


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_numbers_are_read_back_as_they_are(value):
    text = literals.number(value)
    assert text.endswith("f") and np.float32(text[:-1]) == np.float32(value) and re.search("[.e]", text)


@given(st.integers(1, 5000))
def test_tiles_cover_rows_with_little_more(length):
    for tile in (tile_kernels.sparse_tile(length), tile_kernels.dense_tile(length)):
        # What is computed beyond a short row lies in the slack behind a map; longer ones repeat some of their own.
        assert tile - length < 16 and (tile >= length or length > 32)


@pytest.mark.slow
def test_a_32_bit_program_gives_the_same_labels(small, tmp_path):
    facts, model = built("resnet18", 0)
    ticket = ticket_on(model, 0.1, 3, facts, "resnet18")
    images, files = images_of(ticket, 30), files_text.of(ticket)
    for command, flags in ((["gcc"], ["-m32", "-O2"]), (ZIG, ["-target", "x86-linux-musl", "-O2"])):
        if command is None or not builds_programs(command, flags, tmp_path):
            continue
        logits, _ = answers(files, images, 7, tmp_path, command, [*WARNINGS, *flags])
        wanted = logits_of(ticket, images)
        assert (logits.argmax(axis=1) == wanted.argmax(axis=1)).all()
        np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-4)
        return
    pytest.skip("there is no compiler for 32 bits")


@pytest.mark.skipif(None in (ARM, QEMU), reason="there is no arm-linux-gnueabihf-gcc, or no qemu-arm")
def test_an_arm_program_gives_the_same_labels(tmp_path):
    facts, model = built("resnet18", 0)
    ticket = ticket_on(model, 0.1, 3, facts, "resnet18")
    images = images_of(ticket, 10)
    program = compiled_main(files_text.of(ticket), tmp_path, [ARM], [*WARNINGS, "-O2", "-static"])
    done = subprocess.run([QEMU, program], input=images.tobytes(), capture_output=True, check=True)
    labels = [line.split("\t")[0] for line in done.stdout.decode().splitlines()]
    assert labels == [ticket.labels[index] for index in logits_of(ticket, images).argmax(axis=1)]


def builds_programs(command, flags, tmp_path):
    (tmp_path / "tried.c").write_text("#include <math.h>\nint main(void) { return sizeof(void *) != 4; }\n")
    program = str(tmp_path / "tried")
    made = subprocess.run([*command, *flags, str(tmp_path / "tried.c"), "-o", program], capture_output=True)
    return made.returncode == 0 and subprocess.run([program]).returncode == 0


def test_equal_tickets_make_equal_files_and_others_do_not_mix(small, tmp_path):
    files = files_text.of(small)
    assert files == files_text.of(small) and set(files) == {"ticket.c", "ticket.h"}
    assert small.content_digest.encode() in files["ticket.h"] and b"malloc" not in files["ticket.c"]
    changed = dataclasses.replace(small, data=small.data | {"labels": ["a", "b", "c", "d"]})
    changed.__dict__["model"] = small.model
    with pytest.raises(StateError, match="cc.* cannot compile ticket.c: .*ticket.h is of another ticket"):
        answers(files | {"ticket.h": files_text.of(changed)["ticket.h"]}, images_of(small), 4, tmp_path)


@pytest.mark.skipif(GCC is None, reason="there is no gcc")
def test_a_program_links_with_the_ticket_of_its_header_alone(small, tmp_path):
    changed = dataclasses.replace(small, round=2)
    changed.__dict__["model"] = small.model
    assert changed.content_digest != small.content_digest
    main = b'#include "ticket.h"\nint main(void)\n{\n    static TICKET_PIXEL image[TICKET_HEIGHT * TICKET_WIDTH * 3];\n'
    main += b"    float p[TICKET_CLASSES], l[TICKET_CLASSES];\n"
    main += b"    ticket_predict(image, p);\n    ticket_logits(image, l);\n"
    main += b"    return p[0] > 2.0f;\n}\n"
    for name, ticket in (("own", small), ("other", changed)):
        (tmp_path / name).mkdir()
        for file, data in (files_text.of(ticket) | {"main.c": main}).items():
            (tmp_path / name / file).write_bytes(data)

    def linked(of_main):
        words = [*WARNINGS, "-Wmissing-prototypes", f"{of_main}/main.c", "own.o", "-o", "program", "-lm"]
        return subprocess.run([*GCC, *words], cwd=tmp_path, capture_output=True, text=True)

    words = [*GCC, *WARNINGS, "-Wmissing-prototypes", "-fPIC"]
    subprocess.run([*words, "-c", "own/ticket.c", "-o", "own.o"], cwd=tmp_path, check=True)
    assert linked("own").returncode == 0 and subprocess.run([str(tmp_path / "program")]).returncode == 0
    refused = linked("other")
    assert refused.returncode and f"ticket_predict_of_{changed.content_digest[:12]}" in refused.stderr
    subprocess.run([*words, "-shared", "own.o", "-o", "ticket.so", "-lm"], cwd=tmp_path, check=True)
    image, found = images_of(small)[:1], np.zeros(4, np.float32)
    ctypes.CDLL(str(tmp_path / "ticket.so")).ticket_predict(image.ctypes, found.ctypes)
    np.testing.assert_allclose(found, softmax(logits_of(small, image))[0], atol=1e-5)


@pytest.mark.skipif(GCC is None or shutil.which("nm") is None, reason="there is no gcc, or no nm")
def test_the_header_states_the_scratch_memory(small, tmp_path):
    files = files_text.of(small)
    stated = int(re.search(rb"TICKET_SCRATCH_BYTES (\d+)", files["ticket.h"])[1])
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    subprocess.run(["gcc", "-O2", "-c", "ticket.c"], cwd=tmp_path, check=True)
    sizes = subprocess.run(["nm", "-S", "ticket.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    writable = {
        line.split()[3]: int(line.split()[1], 16) for line in sizes.splitlines() if " b " in line or " B " in line
    }
    assert writable == {"scratch": stated}
    called = {line.split()[-1] for line in sizes.splitlines() if " U " in line}
    assert called <= {"expf", "logf", "sqrtf", "memcpy", "memset", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}


@pytest.mark.skipif(GCC is None, reason="there is no gcc")
def test_a_compiler_is_one_that_makes_programs(monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "gcc -O1")
    assert builds.compiler() == ["gcc", "-O1"]
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    for value in (str(broken), "no-such-compiler", "'"):
        monkeypatch.setenv("CC", value)
        assert builds.compiler() is None
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert builds.compiler() is None
