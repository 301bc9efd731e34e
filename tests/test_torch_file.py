"""PyTorch's files without PyTorch: every tensor as it was saved, and nothing else, whatever a file asks for."""

import os
import tracemalloc
import zipfile

import numpy as np
import pytest
from conftest import DATA
from torch_files import archive, called, dictionary, named, pickled, row, stream, tensor, text, whole

import tf_tickets as tt
from tf_tickets.errors import UsageError
from tf_tickets.models import pretrained, state, torch_file

FORMATS = {"stream": stream, "zip": archive}


@pytest.fixture(params=FORMATS)
def made(request):
    """Function that makes a file of a dict's instructions."""
    return FORMATS[request.param]


def read(tmp_path, data, **options):
    path = tmp_path / "a.pth"
    path.write_bytes(data)
    return pretrained.read(str(path), **options)


@pytest.mark.parametrize("name", FORMATS)
def test_tensors_are_as_pytorch_saved_them(name, fixture_arrays):
    found, expected = pretrained.read(str(DATA / f"torch_{name}.pth")), fixture_arrays("torch_tensors.npz")
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert found[key].dtype == array.dtype, key
        np.testing.assert_array_equal(found[key], array, key)


def test_what_is_built_by_hand_is_read(made, tmp_path):
    data = np.arange(4, dtype="<f4").tobytes()
    found = read(tmp_path, made(dictionary(a=tensor(), b=tensor(1, (2, 2), (2, 0))), {"0": data}))
    np.testing.assert_array_equal(found["a"], [0, 1, 2, 3])
    np.testing.assert_array_equal(found["b"], [[1, 1], [3, 3]])
    assert read(tmp_path, made(dictionary(a=tensor(4, (0, 9), (9, 1)))))["a"].shape == (0, 9)


def test_a_network_takes_tensors_of_any_precision(made, tmp_path):
    model = tt.models.build("vgg11", classes=3, image_shape=(8, 8, 1), width=2)
    arrays = state.torch_state(model)
    parts = {
        name: tensor(0, array.shape, [s // 2 for s in array.astype("f2").strides], name, "HalfStorage", array.size)
        for name, array in arrays.items()
    }
    halves = {name: np.full(array.shape, 0.25, "<f2").tobytes() for name, array in arrays.items()}
    data = archive(b"}(" + b"".join(text(name) + part for name, part in parts.items()) + b"u", halves)
    assert tt.models.load_state(model, read(tmp_path, data, model=model)) == ([], [])
    assert {float(value) for array in state.get_state(model).values() for value in array.ravel()} == {0.25}


def evil(tmp_path):
    """Instructions that would make a folder."""
    return called("os", "mkdir", text(str(tmp_path / "executed")))


def memo(place):
    return b"r" + place.to_bytes(4, "little")


DEEP = 100_000
# The dict of a file -> what is said of it.
REFUSED = {
    "function": (lambda tmp: dictionary(a=evil(tmp)), "holds os.mkdir, more than tensors"),
    "function before": (lambda tmp: evil(tmp) + b"0" + dictionary(a=tensor()), "holds os.mkdir"),
    "function by the stack": (lambda tmp: text("posix") + text("mkdir") + b"\x93", "holds posix.mkdir"),
    "hidden module": (lambda tmp: called("torch._utils", "_rebuild_tensor_v2.__globals__"), "__globals__, more"),
    "class": (lambda tmp: dictionary(a=named("builtins", "object") + b")\x81"), "holds builtins.object"),
    "extension": (lambda tmp: b"\x82\x01", "EXT1"),
    "instance": (lambda tmp: b"(" + text(str(tmp / "executed")) + b"ios\nmkdir\n", "INST in its pickle"),
    "storage called": (lambda tmp: called("torch", "FloatStorage", whole(1 << 60)), "REDUCE at byte"),
    "text called": (lambda tmp: text("os.mkdir") + row(text("a")) + b"R", "REDUCE at byte"),
    "dict of many": (lambda tmp: called("collections", "OrderedDict", b"]"), "REDUCE at byte"),
    "tensor changed": (lambda tmp: dictionary(a=tensor() + dictionary(shape=row(whole(9))) + b"b"), "BUILD at byte"),
    "kind changed": (lambda tmp: dictionary(a=named("torch", "FloatStorage") + b"}b"), "BUILD at byte"),
    "module of names": (lambda tmp: b"]2l" + text("x") + b"\x93", "more than tensors|STACK_GLOBAL"),
    "beyond": (lambda tmp: dictionary(a=tensor(0, (5,), (1,))), "reaches beyond its storage 0, which has 4"),
    "strides beyond": (lambda tmp: dictionary(a=tensor(0, (2, 2), (3, 1))), "reaches beyond"),
    "offset beyond": (lambda tmp: dictionary(a=tensor(4, (1,), (1,))), "reaches beyond"),
    "empty beyond": (lambda tmp: dictionary(a=tensor(5, (0,), (1,))), "reaches beyond"),
    "far": (lambda tmp: dictionary(a=tensor(0, (2,), (1 << 62,))), "reaches beyond"),
    "negative stride": (lambda tmp: dictionary(a=tensor(3, (4,), (-1,))), "other than whole numbers from 0"),
    "negative offset": (lambda tmp: dictionary(a=tensor(-1)), "other than whole numbers from 0"),
    "negative side": (lambda tmp: dictionary(a=tensor(0, (-4,), (1,))), "other than whole numbers from 0"),
    "overflowing": (lambda tmp: dictionary(a=tensor(0, (1 << 64,), (0,))), "other than whole numbers from 0"),
    "absurd": (lambda tmp: dictionary(a=tensor(0, (1 << 40, 1 << 40), (0, 0))), "more than .* numbers"),
    "large": (lambda tmp: dictionary(a=tensor(0, (1 << 31,), (0,))), "more than .* bytes"),
    "stride missing": (lambda tmp: dictionary(a=tensor(0, (2, 2), (1,))), "not a stride for each"),
    "axes": (lambda tmp: dictionary(a=tensor(0, (1,) * 65, (1,) * 65)), "more axes"),
    "size": (lambda tmp: dictionary(a=tensor(count=1 << 61)), "bytes|another length"),
    "no storage": (lambda tmp: dictionary(a=tensor(key="1")), "data/1 is missing|storage of no tensor"),
    "two kinds": (lambda tmp: dictionary(a=tensor(), b=tensor(kind="IntStorage")), "0 is of two kinds"),
    "odd kind": (lambda tmp: dictionary(a=tensor(kind="OddStorage")), "holds torch.OddStorage"),
    "id": (lambda tmp: text("storage") + b"Q", "BINPERSID at byte|of another kind"),
    "list": (lambda tmp: b"]" + tensor() + b"a", "holds no dict of tensors"),
    "one tensor": (lambda tmp: tensor(), "holds no dict of tensors"),
    "unnamed": (lambda tmp: b"}" + whole(1) + tensor() + b"s", "have no names"),
    "deep keys": (lambda tmp: b"})" + b"\x85" * DEEP + b"Ns", "as a key"),
    "deep names": (lambda tmp: b"]" + b"\x85" * DEEP + text("x") + b"\x93", "STACK_GLOBAL at byte"),
    "equal hashes": (lambda tmp: b"}" + whole((1 << 61) - 1 << 9) + b"Ns", "as a key"),
    "far memo": (lambda tmp: dictionary(a=b"N" + memo(2**32 - 1) + b"j" + b"\xfe\xff\xff\xff"), "LONG_BINGET at"),
    "endless": (lambda tmp: b"N" * (1 << 20), "more than 1,048,576 instructions"),
    "long text": (lambda tmp: b"\x8d" + b"\xff" * 7 + b"\x7f", "cannot be read"),
    "long number": (lambda tmp: b"\x8b\xff\xff\xff\x7f", "cannot be read"),
    "digits": (lambda tmp: b"L" + b"9" * 100_000 + b"L\n", "cannot be read"),
    "stack below": (lambda tmp: b"s", "SETITEM at byte"),
    "mark missing": (lambda tmp: b"t", "TUPLE at byte"),
    "mark left": (lambda tmp: b"}(", "ends early"),
    "no instruction": (lambda tmp: b"\xff", "unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_all_else_is_refused_in_a_line_and_nothing_runs(name, made, tmp_path):
    make, message = REFUSED[name]
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=message) as caught:
            read(tmp_path, made(make(tmp_path)))
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    assert os.listdir(tmp_path) == ["a.pth"]


def test_what_these_files_ask_for_would_be_done(tmp_path):
    import pickle

    pickle.loads(pickled(evil(tmp_path)))
    assert (tmp_path / "executed").is_dir()


def test_doubled_lists_take_no_more_memory_than_the_file(made, tmp_path):
    """Each list holds the one before twice: written out, the last would have 2^1000 entries."""
    doubled = b"]" + memo(0) + b"".join(
        b"](j" + (k - 1).to_bytes(4, "little") + b"j" + (k - 1).to_bytes(4, "little") + b"e" + memo(k)
        for k in range(1, 1000)
    )  # fmt: skip
    tracemalloc.start()
    try:
        assert list(read(tmp_path, made(dictionary(a=tensor(), b=row(doubled))))) == ["a"]
        with pytest.raises(UsageError, match="STACK_GLOBAL at byte"):
            read(tmp_path, made(doubled + text("x") + b"\x93"))
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", range(0, 420, 7))
def test_a_file_that_was_cut_off_is_refused(made, tmp_path, length):
    data = made(dictionary(a=tensor()))
    with pytest.raises(UsageError, match=r"a\.pth cannot be read"):
        read(tmp_path, data[: min(length, len(data) - 1)])


def test_big_endian_files_are_refused(tmp_path):
    for data in (stream(dictionary(a=tensor()), little=False), archive(dictionary(a=tensor()), order=b"big")):
        with pytest.raises(UsageError, match="big-endian"):
            read(tmp_path, data)


def test_packed_archives_are_refused_before_they_are_unpacked(tmp_path):
    count = 100_000_000
    data = archive(dictionary(a=tensor(count=count)), {"0": bytes(4 * count)}, packing=zipfile.ZIP_DEFLATED)
    assert len(data) < 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="packed, as torch.save does not"):
            read(tmp_path, data)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_storages_of_other_lengths_are_refused(made, tmp_path):
    with pytest.raises(UsageError, match="another length|is cut off"):
        read(tmp_path, made(dictionary(a=tensor()), {"0": bytes(12)}))


def test_other_files_are_no_files_of_torch(tmp_path):
    for data, message in ((pickled(whole(5)), "no file of torch.save"), (b"PK", "not a zip file"), (b"", "read")):
        with pytest.raises(UsageError, match=message):
            read(tmp_path, data)


def test_what_fits_no_variable_is_not_read(made, tmp_path, monkeypatch):
    model = tt.models.build("vgg11", classes=3, image_shape=(8, 8, 1), width=2)
    reads = []
    numbers = torch_file.File._numbers
    monkeypatch.setattr(
        torch_file.File, "_numbers", lambda self, storage: reads.append(storage.key) or numbers(self, storage)
    )
    parts = {"fits": tensor(0, (3,), (1,), "0"), "odd": tensor(0, (1000, 1000), (1000, 1), "1", count=10**6)}
    found = read(tmp_path, made(dictionary(**parts), {"0": bytes(16), "1": bytes(4 * 10**6)}), model=model)
    assert reads == ["0"] and found["odd"].shape == (1000, 1000)
