"""Files of torch.save, built by hand: instructions of pickles, and the two formats around them."""

import io
import zipfile

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def text(value):
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def whole(number):
    data = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + len(data).to_bytes(1, "little") + data


def row(*parts):
    return b"(" + b"".join(parts) + b"t"


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def called(module, name, *arguments):
    return named(module, name) + row(*arguments) + b"R"


def dictionary(**values):
    return b"}(" + b"".join(text(name) + value for name, value in values.items()) + b"u"


def pickled(content):
    return b"\x80\x02" + content + b"."


def tensor(offset=0, shape=(4,), strides=(1,), key="0", kind="FloatStorage", count=4):
    """A tensor, by default the whole of a storage of four float32."""
    storage = row(text("storage"), named("torch", kind), text(key), text("cpu"), whole(count)) + b"Q"
    sides, steps = (row(*map(whole, numbers)) for numbers in (shape, strides))
    hooks = called("collections", "OrderedDict")
    return called("torch._utils", "_rebuild_tensor_v2", storage, whole(offset), sides, steps, b"\x89", hooks)


def stream(content, storages=None, little=True):
    """The format before 1.6; `storages` are the bytes by key, of float32."""
    storages = {"0": bytes(16)} if storages is None else storages
    system = dictionary(little_endian=b"\x88" if little else b"\x89")
    keys = b"](" + b"".join(map(text, storages)) + b"e"
    parts = [pickled(part) for part in (whole(MAGIC), whole(PROTOCOL), system, content, keys)]
    return b"".join([
        *parts, *((len(data) // 4).to_bytes(8, "little") + data for data in storages.values()),
    ])  # fmt: skip


def archive(content, storages=None, order=b"little", packing=zipfile.ZIP_STORED):
    """The format since 1.6."""
    storages, file = {"0": bytes(16)} if storages is None else storages, io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as packed:
        packed.writestr("archive/data.pkl", pickled(content))
        packed.writestr("archive/byteorder", order)
        for key, data in storages.items():
            packed.writestr(f"archive/data/{key}", data)
    return file.getvalue()
