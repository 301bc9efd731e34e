"""Odd picture files, the same for every seed: formats, modes, depths, orientations, cuts and flipped bytes.

A case is (kind, name, content, expected): bytes, or a function that makes what is no regular file at a path; True where
the file must be used, upright and whole, False where it must be refused, None where both are right.
"""

import io
import os
import socket
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image

ORIENTATION = 274
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def noise(random, height=13, width=17, channels=3, kind=np.uint8):
    shape = (height, width, channels)[: 2 if channels == 1 else 3]
    return random.integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)


def saved(picture, kind, **options):
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, kind, **options)
    return file.getvalue()


def tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **{"photometric": "rgb" if array.ndim == 3 else "minisblack", **options})
    return file.getvalue()


def exif(value, order="<"):
    """EXIF with one tag, the orientation."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return b"Exif\0\0" + head + struct.pack(order + "IHHHIHHI", 8, 1, ORIENTATION, 3, 1, value, 0, 0)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(random, depth=8, colour=2, interlaced=False, before=b"", after=b"", size=(17, 13)):
    """A PNG of random pixels, filters and all, with chunks before and after its pixels."""
    width, height = size
    parts = _PASSES if interlaced else ((0, 0, 1, 1),)
    raw = b""
    for left, top, across, down in parts:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            length = -(-columns * depth * _CHANNELS[colour] // 8)
            raw += b"".join(bytes([random.integers(5)]) + random.bytes(length) for _ in range(rows))
    palette = chunk(b"PLTE", random.bytes(3 << min(depth, 8))) if colour == 3 else b""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + palette
        + before
        + chunk(b"IDAT", zlib.compress(raw))
        + after
        + chunk(b"IEND", b"")
    )


def png_cases(random):
    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            for interlaced in (False, True):
                yield f"png {colour} {depth} {'interlaced' * interlaced}", png(random, depth, colour, interlaced), True
        clear = {0: b"\0\1", 2: b"\0\1\0\2\0\3", 3: b"\0\x80"}.get(colour)
        if clear:
            for depth in depths:
                yield f"png {colour} {depth} tRNS", png(random, depth, colour, before=chunk(b"tRNS", clear)), True
    bomb = b"a\0\0" + zlib.compress(bytes(9 << 20))
    profile = b"x\0\0" + zlib.compress(b"no profile" * 20)
    for name, extra in {
        "gAMA": chunk(b"gAMA", struct.pack(">I", 10000)),
        "iCCP broken": chunk(b"iCCP", profile),
        "iCCP cut": chunk(b"iCCP", profile[:-9]),
        "sBIT": chunk(b"sBIT", b"\5\6\5"),
        "text": chunk(b"tEXt", b"a\0b" * 99),
        "zTXt broken": chunk(b"zTXt", b"a\0\0nothing"),
        "unknown": chunk(b"abCd", b"x"),
        "critical": chunk(b"ABCD", b"x"),
        "wrong check": chunk(b"tEXt", b"a\0b")[:-1] + b"\0",
        "bomb of text": chunk(b"zTXt", bomb),
        "tRNS too long": chunk(b"tRNS", b"x" * 50),
        "two headers": chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)),
        "sRGB": chunk(b"sRGB", b"\0"),
        "cHRM": chunk(b"cHRM", bytes(32)),
        "pHYs": chunk(b"pHYs", bytes(9)),
        "acTL": chunk(b"acTL", struct.pack(">II", 1, 0)),
        "acTL of two": chunk(b"acTL", struct.pack(">II", 2, 0)),
        "raw profile": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 9\nzz")),
        "XMP": chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'),
    }.items():
        yield f"png with {name}", png(random, before=extra), None
        yield f"png with {name} after", png(random, after=extra), None
    for size in ((0, 0), (1 << 31, 1), (65536, 65536), (100, 1), (101, 1), (1, 100), (1, 1), (0, 5)):
        data = bytearray(png(random))
        data[8:33] = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
        yield f"png of size {size}", bytes(data), None
    whole = png(random)
    yield "png without end", whole[:-12], None
    yield "png and more", whole + random.bytes(99), True
    yield "two png", whole + whole, True


def oriented_cases(random):
    upright = noise(random)
    undo = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.swapaxes(a, 0, 1),
        6: np.rot90,
        7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
        8: lambda a: np.rot90(a, -1),
    }
    for value in range(0, 11):
        stored = Image.fromarray(np.ascontiguousarray(undo.get(value, undo[1])(upright)))
        grey = Image.fromarray(np.ascontiguousarray(undo.get(value, undo[1])(upright[..., 0].astype(np.uint16) * 257)))
        for order in "<>":
            facts = exif(value, order)
            name = f"orientation {value}{order}"
            yield f"{name} png", saved(stored, "PNG", exif=facts), upright
            yield f"{name} webp", saved(stored, "WEBP", lossless=True, exif=facts), upright
            yield f"{name} jpeg", saved(stored, "JPEG", quality=95, exif=facts), True
            yield f"{name} mpo", saved(stored, "MPO", quality=95, exif=facts), True
            whole = saved(stored, "PNG")
            late = whole[:-12] + chunk(b"eXIf", facts[6:]) + whole[-12:]
            yield f"{name} png late", late, upright
            yield f"{name} png 16 bits", saved(grey, "PNG", exif=facts), upright[..., :1]
        tags = {"extratags": [(ORIENTATION, 3, 1, value, True)]}
        yield f"orientation {value} tiff of tifffile", tiff(np.asarray(stored), **tags), upright
        deflated = tiff(np.asarray(grey), compression="zlib", **tags)
        yield f"orientation {value} tiff of tifffile, deflated", deflated, True
        for compression in (None, "tiff_lzw", "tiff_adobe_deflate") if 1 <= value <= 8 else ():
            options = {"tiffinfo": {ORIENTATION: value}, "compression": compression}
            yield f"orientation {value} tiff {compression}", saved(stored, "TIFF", **options), upright
            yield f"orientation {value} tiff 16 bits {compression}", saved(grey, "TIFF", **options), upright[..., :1]


def jpeg_cases(random):
    picture = Image.fromarray(noise(random))
    for mode in ("L", "RGB", "CMYK"):
        for options in (
            {},
            {"progressive": True},
            {"quality": 100, "subsampling": 0},
            {"quality": 1},
            {"restart_marker_blocks": 1},
            {"icc_profile": b"no profile"},
            {"comment": b"x" * 60000},
            {"dpi": (72, 72)},
            {"keep_rgb": mode == "RGB"},
        ):
            yield f"jpeg {mode} {sorted(options)}", saved(picture.convert(mode), "JPEG", **options), True
    for text in (
        b"",
        b"Exif\0\0",
        b"Exif\0\0MM\0\5",
        b"Exif\0\0II*\0",
        exif(6)[:-9],
        exif(6)[:14] + b"\xff" * 30,
        b"\0" * 40,
    ):
        for order in (True, False):
            data = saved(picture, "JPEG", exif=text, **({"dpi": (72, 72)} if order else {}))
            yield f"jpeg with EXIF {len(text)} {order}", data, None
    orientation = exif(6)
    for kind in (0, 1, 2, 5, 7, 12, 13, 99):  # of the value: text, fractions, none
        changed = bytearray(orientation)
        changed[18:20] = struct.pack("<H", kind)
        yield f"jpeg with an orientation of type {kind}", saved(picture, "JPEG", exif=bytes(changed)), None
        yield f"png with an orientation of type {kind}", saved(picture, "PNG", exif=bytes(changed)), None
        yield f"webp with an orientation of type {kind}", saved(picture, "WEBP", exif=bytes(changed)), None
    whole = saved(picture, "JPEG")
    yield "jpeg without end", whole[:-2], None
    yield "jpeg and more", whole + random.bytes(99), True
    second = saved(Image.fromarray(noise(random)), "JPEG")
    yield "mpo", saved(picture, "MPO", save_all=True, append_images=[Image.open(io.BytesIO(second))]), True
    for size in ((0, 17), (13, 0), (65535, 65535), (13, 1700)):
        place = whole.index(b"\xff\xc0") + 5
        yield f"jpeg of size {size}", whole[:place] + struct.pack(">HH", *size) + whole[place + 4 :], None
    for precision in (12, 16, 2):
        place = whole.index(b"\xff\xc0") + 4
        yield f"jpeg of {precision} bits", whole[:place] + bytes([precision]) + whole[place + 1 :], False
    large = Image.fromarray(noise(random, 60, 75)).resize((1500, 1200))
    for name, options in {"": {}, " progressive": {"progressive": True}, " turned": {"exif": exif(6)}}.items():
        data = saved(large, "JPEG", **options)
        yield f"large jpeg{name}", data, True
        yield f"large jpeg{name} cut", data[: len(data) // 2], False


def tiff_cases(random):
    grey, colour = noise(random, channels=1), noise(random)
    deep = noise(random, channels=1, kind=np.uint16)
    for name in ("int8", "int16", "int32", "int64", "uint32", "uint64", "float16", "float32", "float64", "complex64"):
        yield f"tiff {name}", tiff(grey.astype(name)), False
        yield f"tiff rgb {name}", tiff(colour.astype(name)), False
    for order in "<>":
        for big in (False, True):
            options = {"byteorder": order, "bigtiff": big}
            read = None if big and order == ">" else True  # Pillow reads no such BigTIFF
            yield f"tiff {order} {big}", tiff(colour, **options), read
            yield f"tiff 16 bits {order} {big}", tiff(deep, **options), read
            yield f"tiff white is zero {order} {big}", tiff(grey, photometric="miniswhite", **options), None
            yield f"tiff 16 bits white is zero {order} {big}", tiff(deep, photometric="miniswhite", **options), False
            yield f"tiff 16 bits rgb {order} {big}", tiff(noise(random, kind=np.uint16), **options), None
    yield "tiff tiled", tiff(noise(random, 32, 32), tile=(16, 16)), True
    yield "tiff planes", tiff(np.moveaxis(colour, 2, 0), planarconfig="separate"), None
    yield "tiff alpha", tiff(noise(random, channels=4), extrasamples=["unassalpha"]), True
    yield "tiff premultiplied", tiff(noise(random, channels=4), extrasamples=["assocalpha"]), None
    yield "tiff of 13 bands", tiff(noise(random, channels=13), photometric="minisblack"), False
    yield "tiff pages", tiff(np.stack([colour, colour])), False
    yield "tiff preview", tiff(colour, subfiletype=1), False
    yield "tiff raw", tiff(colour, extratags=[(50706, 1, 4, (1, 4, 0, 0), True)]), False
    for bits in (3, 7, 9, 10, 12, 14, 24, 32, 64):
        data = bytearray(tiff(deep))
        place = data.index(struct.pack("<HHI", 258, 3, 1)) + 8
        data[place : place + 2] = struct.pack("<H", bits)
        yield f"tiff of {bits} bits", bytes(data), False
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F", "I;16"):
        picture = Image.fromarray(deep if mode == "I;16" else colour)
        if mode == "LAB":
            picture = Image.frombytes("LAB", picture.size, picture.tobytes())
        elif mode != "I;16":
            picture = picture.convert(mode)
        for compression in (
            None,
            "tiff_lzw",
            "tiff_adobe_deflate",
            "packbits",
            "jpeg",
            "group3",
            "group4",
            "zstd",
            "lzma",
        ):
            try:
                data = saved(picture, "TIFF", compression=compression)
            except Exception:  # modes that a compression does not have
                continue
            yield f"tiff {mode} {compression}", data, {"I": False, "F": False, "LAB": False}.get(mode)


def bmp_cases(random):
    colour = Image.fromarray(noise(random))
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        data = saved(colour.convert(mode), "BMP")
        yield f"bmp {mode}", data, True
        height = struct.unpack("<i", data[22:26])[0]
        yield f"bmp {mode} top down", data[:22] + struct.pack("<i", -height) + data[26:], True
        for bits in (0, 2, 16, 64):
            yield f"bmp {mode} of {bits} bits", data[:28] + struct.pack("<H", bits) + data[30:], None
        for compression in (1, 2, 3, 4, 5):
            yield f"bmp {mode} compressed {compression}", data[:30] + struct.pack("<I", compression) + data[34:], None


def other_cases(random):
    colour = Image.fromarray(noise(random))
    for options in (
        {},
        {"lossless": True},
        {"quality": 1},
        {"exif": exif(6)[:20]},
        {"exif": b"x" * 50},
        {"xmp": b"<x"},
    ):
        for mode in ("RGB", "RGBA", "L"):
            yield f"webp {mode} {sorted(options)}", saved(colour.convert(mode), "WEBP", **options), None
    more = {"save_all": True, "append_images": [Image.fromarray(noise(random))]}
    for kind in ("PNG", "WEBP", "TIFF", "GIF"):
        yield f"{kind} of two pictures", saved(colour, kind, **more), False
    for kind in ("GIF", "ICO", "PPM", "TGA", "PCX", "DIB", "ICNS", "SGI", "JPEG2000", "PDF", "EPS", "IM", "DDS"):
        size = (32, 32) if kind in ("ICO", "ICNS") else colour.size
        yield kind, saved(colour.resize(size), kind), False
    for brand in (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis", b"isom", b"qt  ", b"crx ", b"\0\0\0\0"):
        data = struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\0" + brand + b"mif1" + random.bytes(90)
        yield f"brand {brand}", data, False
    for name, data in {
        "empty": b"",
        "one byte": b"\xff",
        "text": b"no picture\n" * 9,
        "svg": b"<?xml version='1.0'?><svg/>",
        "zeros": bytes(999),
        "zip": b"PK\x03\x04" + bytes(99),
        "jxl": b"\xff\x0a" + bytes(99),
        "html": b"<html>not found</html>",
    }.items():
        yield name, data, False
    for length in (1, 10, 100, 1000):
        yield f"random bytes {length}", random.bytes(length), False


def _linked(target):
    return lambda path: os.symlink(target, path)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(os.path.dirname(path))  # addresses of sockets are short
        listening.bind(os.path.basename(path))
        os.chdir(here)


def special_cases():
    for name, make in {
        "FIFO": os.mkfifo,
        "socket": _socket,
        "link to zeros": _linked("/dev/zero"),
        "link to a terminal": _linked("/dev/tty"),
        "link to nothing": _linked("gone"),
        "link to null": _linked("/dev/null"),
        "link to itself": lambda path: os.symlink(path, path),
    }.items():
        yield name, make, False


def bases(random):
    """Small whole files, one of each format and kind, that are then cut and changed."""
    colour = Image.fromarray(noise(random, 9, 11))
    deep = Image.fromarray(noise(random, 9, 11, 1, np.uint16))
    return {
        "png": saved(colour, "PNG"),
        "png grey": saved(colour.convert("L"), "PNG"),
        "png 16": saved(deep, "PNG"),
        "png palette": saved(colour.convert("P"), "PNG"),
        "png exif": saved(colour, "PNG", exif=exif(6)),
        "png alpha": saved(colour.convert("RGBA"), "PNG"),
        "png interlaced": png(random, interlaced=True, size=(11, 9)),
        "png late": png(random, after=chunk(b"eXIf", exif(8)[6:]), size=(11, 9)),
        "jpeg": saved(colour, "JPEG"),
        "jpeg grey": saved(colour.convert("L"), "JPEG"),
        "jpeg progressive": saved(colour, "JPEG", progressive=True),
        "jpeg exif": saved(colour, "JPEG", exif=exif(6, ">"), dpi=(9, 9)),
        "jpeg cmyk": saved(colour.convert("CMYK"), "JPEG"),
        "mpo": saved(colour, "MPO", save_all=True, append_images=[colour]),
        "webp": saved(colour, "WEBP"),
        "webp lossless": saved(colour, "WEBP", lossless=True, exif=exif(3)),
        "webp alpha": saved(colour.convert("RGBA"), "WEBP"),
        "bmp": saved(colour, "BMP"),
        "bmp palette": saved(colour.convert("P"), "BMP"),
        "tiff": saved(colour, "TIFF"),
        "tiff lzw": saved(colour, "TIFF", compression="tiff_lzw"),
        "tiff jpeg": saved(colour, "TIFF", compression="jpeg"),
        "tiff 16": saved(deep, "TIFF"),
        "tiff deflate": saved(colour, "TIFF", compression="tiff_adobe_deflate", tiffinfo={ORIENTATION: 6}),
        "tiff big": tiff(np.asarray(colour), bigtiff=True),
        "tiff planes": tiff(noise(random, 3, 9, 11), planarconfig="separate"),
    }


def cut_cases(whole):
    for name, data in whole.items():
        # Of a long file, whose middle is a table or pixels, the cuts in between are drawn more rarely.
        for length in range(0, len(data), 10 if len(data) < 900 else 20):
            yield f"{name} cut at {length}", data[:length], None


def flipped_cases(random, whole, header=110, anywhere=20):
    for name, data in whole.items():
        ends = [*range(min(header, len(data))), *random.integers(0, len(data), anywhere)]
        for place in ends:
            changed = bytearray(data)
            changed[place] ^= 1 << int(random.integers(8)) if random.random() < 0.7 else 0xFF
            yield f"{name} with byte {place} changed", bytes(changed), None


def cases(seed=0):
    """All cases, (kind, name, content, expected)."""
    random = np.random.default_rng(seed)
    whole = bases(random)
    sources = {
        "png": png_cases(random),
        "orientation": oriented_cases(random),
        "jpeg": jpeg_cases(random),
        "tiff": tiff_cases(random),
        "bmp": bmp_cases(random),
        "other formats": other_cases(random),
        "no regular file": special_cases(),
        "cut": cut_cases(whole),
        "changed": flipped_cases(random, whole),
    }
    for kind, found in sources.items():
        for name, content, expected in found:
            yield kind, name, content, expected
