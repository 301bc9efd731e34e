"""The C file as a program and a library: its main, its labels, its header and other processors."""

import ctypes
import dataclasses
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from c_tickets import (
    COMPILERS,
    GCC,
    WARNINGS,
    ZIG,
    answers,
    built,
    images_of,
    logits_of,
    small_ticket,  # noqa: F401
    softmax,
    ticket_on,
)
from hypothesis import given
from hypothesis import strategies as st
from test_depthwise import network

from tf_tickets.errors import StateError
from tf_tickets.export.c_source import builds, files_text, literals

ARM, QEMU = shutil.which("arm-linux-gnueabihf-gcc"), shutil.which("qemu-arm")


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
