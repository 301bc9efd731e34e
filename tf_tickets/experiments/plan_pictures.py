"""What `--dry_run` says of the user's own pictures, all of which it has looked at."""

import collections
import contextlib
from collections.abc import Iterator, Sequence

from tf_tickets.columns import aligned
from tf_tickets.data import folder, own
from tf_tickets.errors import plain


@contextlib.contextmanager
def all_problems() -> Iterator[None]:
    """Prints what the one line of a folder.Unusable leaves out, a line for each file that cannot be used."""
    try:
        yield
    except folder.Unusable as error:
        if len(error.problems) > 1:
            print("\n".join(map(plain, error.problems)))
        raise


def text(
    looked_at: own.Pictures, train_counts: Sequence[int] | None = None, held_counts: Sequence[int] | None = None
) -> str:
    """The classes with their counts and sizes, and what is left out.

    Args:
      looked_at: the pictures.
      train_counts, held_counts: pictures of each class that a run trains on, and that it holds out; None: the parts
        that the pictures lie in are counted.
    """
    pictures, labels = looked_at.pictures, looked_at.data_set.labels
    facts = [picture.facts for picture in pictures]
    kinds = {1: "grey", 3: "colour"}
    channels = sorted({fact.channels for fact in facts})
    colours = " and ".join(kinds.get(count, f"{count} channels") for count in channels)
    parts = [part for part in own.PARTS if any(picture.part == part for picture in pictures)]
    if train_counts is not None:
        parts = ["train", *(["held out"] if any(held_counts or ()) else []), "test"]
        unused = len(pictures) - sum(train_counts) - sum(held_counts or ()) - looked_at.data_set.test_images
        parts += ["not used"] if unused else []
    lines = [
        f"pictures    {len(pictures):,} {looked_at.origin}: {_sizes(facts)} pixels, {colours}",
        "",
    ]
    rows = [["class", *(f"{part:>10s}" for part in parts), "pixels"]]
    for label, name in enumerate(labels):
        of_class = [picture for picture in pictures if picture.label == label]
        counts = dict(collections.Counter(picture.part for picture in of_class))
        if train_counts is not None:
            held = held_counts[label] if held_counts else 0
            used = train_counts[label] + held + counts.get("test", 0)
            counts = {
                "train": train_counts[label],
                "held out": held,
                "not used": len(of_class) - used,
                "test": counts.get("test", 0),
            }
        numbers = [f"{counts.get(part, 0):10,d}" for part in parts]
        rows.append([plain(name), *numbers, _sizes([picture.facts for picture in of_class])])
    return "\n".join([*lines, aligned(rows, "l"), *(["", *map(plain, looked_at.notices)] if looked_at.notices else [])])


def _sizes(facts):
    """The smallest and the largest of some pictures, as text."""
    sizes = sorted({(fact.width * fact.height, fact.width, fact.height) for fact in facts})
    ends = [f"{width}x{height}" for _, width, height in (sizes[0], sizes[-1])]
    return ends[0] if len(sizes) == 1 else " to ".join(ends)
