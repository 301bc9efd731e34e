"""Backbone files: what fits the network is read; nothing comes from other files, or is unpacked to be refused."""

import os
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest

import tf_tickets as tt
from tf_tickets.errors import UsageError
from tf_tickets.models import pretrained, state

LAYER, WEIGHT = "pre_conv.0", "kernel:0"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network, and the file of its weights."""
    model = tt.models.build("vgg11", classes=10, image_shape=(8, 8, 1), width=2, seed=1)
    path = tmp_path_factory.mktemp("saved") / "network.h5"
    model.save_weights(str(path))
    return model, path


def rewritten(source, path, change):
    """Copies a file; `change(file, group, name, values)` puts something else in place of the largest kernel."""
    with h5py.File(source) as before, h5py.File(path, "w") as file:
        file.attrs.update(before.attrs)
        sizes = {}
        for layer in before:
            before.copy(layer, file)
            for name in before[layer].attrs["weight_names"]:
                sizes[f"{layer}/{name}"] = before[layer][name].size
        name = max(sizes, key=sizes.get)
        values = file[name][()]
        del file[name]
        change(file, name, values)
    return str(path), name, values


def external_link(file, name, values):
    with h5py.File("other.h5", "w") as other:
        other["data"] = values
    file[name] = h5py.ExternalLink("other.h5", "data")


def external_folder(file, name, values):
    """The layer's own group lies in another file."""
    layer = name.split("/")[0]
    with h5py.File("other.h5", "w") as other:
        file.copy(layer, other)
        other[name] = values
    del file[layer]
    file[layer] = h5py.ExternalLink("other.h5", layer)


def link_to_a_fifo(file, name, values):
    os.mkfifo("fifo")
    file[name] = h5py.ExternalLink("fifo", "data")


def soft_link(file, name, values):
    external_link(file, "elsewhere", values)
    file[name] = h5py.SoftLink("/elsewhere")


def virtual(file, name, values):
    with h5py.File("other.h5", "w") as other:
        other["data"] = values
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource("other.h5", "data", values.shape)
    file.create_virtual_dataset(name, layout)


def external_bytes(file, name, values):
    with open("other.bin", "wb") as other:
        other.write(values.tobytes())
    file.create_dataset(name, values.shape, values.dtype, external=[("other.bin", 0, values.nbytes)])


def chunk_bomb(file, name, values):
    """Chunks of 10 KB that unpack to 100 MB."""
    data = file.create_dataset(name, values.shape, values.dtype, chunks=values.shape, compression="gzip")
    packed = zlib.compressobj(9)
    data.id.write_direct_chunk((0,) * values.ndim, b"".join(
        [packed.compress(bytes(1 << 20)) for _ in range(100)] + [packed.flush()]))  # fmt: skip


def objects(file, name, values):
    file.create_dataset(name, (len(values),), h5py.string_dtype())


CHANGES = [
    external_link, external_folder, link_to_a_fifo, soft_link, virtual, external_bytes, chunk_bomb, objects,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=[change.__name__ for change in CHANGES])
@pytest.mark.parametrize("known", [True, False], ids=["for a network", "for none"])
def test_weights_outside_of_the_file_are_refused(saved, tmp_path, monkeypatch, change, known):
    monkeypatch.chdir(tmp_path)
    path, name, _ = rewritten(saved[1], tmp_path / "evil.h5", change)
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=rf"--pretrained=.*evil\.h5 cannot be read: .*{name[:8]}") as caught:
            pretrained.read(path, model=saved[0] if known else None)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def test_a_linked_root_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    with h5py.File("evil.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink("fifo", "/")
    with pytest.raises(UsageError, match="model_weights is not kept in the file itself"):
        pretrained.read("evil.h5")


@pytest.mark.parametrize("options", [{"chunks": True}, {"compression": "gzip", "shuffle": True, "fletcher32": True}])
def test_chunks_are_read_as_they_were_before(saved, tmp_path, options):
    model, source = saved
    path, name, values = rewritten(
        source, tmp_path / "packed.h5", lambda file, name, values: file.create_dataset(name, data=values, **options)
    )
    found = pretrained.read(path, model=model)
    expected = pretrained.read(str(source))
    assert sorted(found) == sorted(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array)
    assert sorted(pretrained.load(model, found)) == sorted(pretrained.load(model, expected))


@pytest.mark.parametrize("kind", ["npz", "h5"])
def test_shapes_are_compared_before_bytes_are_read(saved, tmp_path, kind):
    """Half a gigabyte of zeros in a small file: named by its shape, and never in memory."""
    model, source = saved
    shape, path = (11_000, 11_000), str(tmp_path / f"swollen.{kind}")
    if kind == "h5":
        path, name, _ = rewritten(
            source, path, lambda file, name, values: file.create_dataset(name, shape, "<f4", chunks=(1000, 1000))
        )
    else:
        arrays = state.torch_state(model)
        name = max(arrays, key=lambda name: arrays[name].size)
        np.savez_compressed(path, **arrays | {name: np.broadcast_to(np.float32(0), (2000, 11_000))})
        shape = (2000, 11_000)
    tracemalloc.start()
    try:
        arrays = pretrained.read(path, model=model)
        with pytest.raises(UsageError, match=rf"has shape \({shape[0]}, {shape[1]}\)|has shape .*{shape[1]}"):
            pretrained.load(model, arrays)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", pretrained.FORMATS)
def test_only_regular_files_are_backbones(tmp_path, suffix):
    os.mkfifo(tmp_path / f"a{suffix}")
    os.symlink("/dev/zero", tmp_path / f"b{suffix}")
    for name, kind in (("a", "FIFO"), ("b", "device")):
        with pytest.raises(UsageError, match=f"{name}{suffix} is a {kind}"):
            pretrained.read(str(tmp_path / f"{name}{suffix}"))
