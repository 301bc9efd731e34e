"""Names of classes: one rule, before anything starts, for what every file, figure and terminal shows as it is."""

import collections
import collections.abc
import unicodedata

from tf_tickets.errors import UsageError


def check(names: collections.abc.Iterable[str], place: str, noun: str = "class folder") -> None:
    """UsageError unless the names of classes can be shown, and told apart.

    A name may hold any character but controls, invisible ones, those that turn the direction of text, and other spaces
    than the plain one. Upper and lower case differ.

    Args:
      names: those of several parts of the data may be there several times.
      place: what holds them, such as --data_dir=pictures.
      noun: what a person has to rename.
    """
    from tf_tickets.runtime import characters  # with which SciPy comes, for which `--help` need not wait

    names, alike, plural = sorted(set(names)), {}, noun + ("es" if noun.endswith("s") else "s")
    for name in names:
        character = characters.refused(name)
        if character:
            raise UsageError(f"{place}: the {noun} {name!r} has {character} in its name: rename it")
        if not name.strip():
            raise UsageError(f"{place}: the {noun} {name!r} has a name of spaces alone: rename it")
        # What é is made of, and spaces at the end or twice, no reader sees.
        first = alike.setdefault(unicodedata.normalize("NFC", " ".join(name.split())), name)
        if first != name:
            raise UsageError(f"{place}: the {plural} {ascii(first)} and {ascii(name)} look the same: rename one")
    _check_pairs(names, place, plural)


def _check_pairs(names, place, plural):
    """Rows of confusions are named `true>predicted`: no two pairs of classes may have one name."""
    if not any(">" in name for name in names):
        return
    pairs = collections.Counter(f"{true}>{predicted}" for true in names for predicted in names)
    twice = next((pair for pair, count in pairs.items() if count > 1), None)
    if twice:
        raise UsageError(f"{place}: '{twice}' is two pairs of its {plural}: rename those with > in their names")
