"""Pictures that are there twice: the same bytes, or the same pixels in other bytes."""

import collections
import os
from collections.abc import Sequence

from tf_tickets import stopping
from tf_tickets.data import photographs
from tf_tickets.errors import StopRequested, UsageError

# A picture of the largest size takes half a gibibyte while it is decoded.
_MOST_THREADS = 4


def looks(paths: list[str]) -> list:
    """The photographs.Facts of files, or the UsageError of one that cannot be used, in the order of `paths`."""
    return _each(photographs.look, paths)


def _each(function, paths):
    import concurrent.futures

    def attempt(path):
        if stopping.requested():
            raise StopRequested("stopped on request; run again to continue")
        try:
            return function(path)
        except UsageError as error:
            return error

    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    try:
        with photographs.quiet():
            return list(pool.map(attempt, paths))
    finally:
        pool.shutdown(cancel_futures=True)


def pairs(pictures: list) -> list[tuple]:
    """Which pictures repeat an earlier one.

    Pixels can only be equal in pictures of one size. A JPEG whose Facts are of a scaled decoding is decoded whole where
    another of its size has the same, or is no such JPEG.

    Args:
      pictures: each with `path` and `facts`, in order of preference.

    Returns:
      List of (picture, the earlier one, the words between their names), by picture.

    Raises:
      UsageError: a file was changed meanwhile, and cannot be used any more.
    """
    first, kept, repeats = {}, [], {}
    for picture in pictures:
        earlier = first.setdefault(picture.facts.sha256, picture)
        if earlier is picture:
            kept.append(picture)
        else:
            repeats[picture.path] = picture, earlier, "is the same picture as"
    whole = _whole_pixels(kept)
    first = {}
    for picture in kept:
        earlier = first.setdefault(whole.get(picture.path, picture.path), picture)
        if earlier is not picture:
            repeats[picture.path] = picture, earlier, "has the same pixels as"
    return [repeats[picture.path] for picture in pictures if picture.path in repeats]


def _whole_pixels(pictures):
    """{path: SHA-256 of size and all pixels} of those pictures that may equal another."""
    sizes, alike = collections.defaultdict(list), []
    for picture in pictures:
        sizes[picture.facts.width, picture.facts.height].append(picture)
    for group in sizes.values():
        scaled = [picture for picture in group if picture.facts.scaled]
        counts = collections.Counter(picture.facts.pixels for picture in scaled)
        mixed = len(scaled) < len(group)
        alike += [picture.path for picture in scaled if mixed or counts[picture.facts.pixels] > 1]
    digests = {p.path: p.facts.pixels for p in pictures if not p.facts.scaled}
    for path, pixels in zip(alike, _each(photographs.pixel_digest, alike)):
        if isinstance(pixels, UsageError):
            raise pixels
        digests[path] = pixels
    return digests


def sentences(pictures: Sequence) -> list[str]:
    """Sentences where images of the test are training images too, and where one image is in two classes."""
    first = {picture.facts.pixels: picture for picture in reversed(pictures)}
    trained = {picture.facts.pixels for picture in pictures if picture.part == "train"}
    copies = [picture.id for picture in pictures if picture.part == "test" and picture.facts.pixels in trained]
    odd = [picture for picture in pictures if first[picture.facts.pixels].label != picture.label]
    lines = []
    if copies:
        lines.append(
            f"{len(copies):,} of the test images, such as {copies[0]}, are training images too: the test says too much"
        )
    if odd:
        pair = f"{first[odd[0].facts.pixels].id} and {odd[0].id}"
        lines.append(f"{len(odd):,} images are there in another class too, such as {pair}: a label of each is wrong")
    return lines
