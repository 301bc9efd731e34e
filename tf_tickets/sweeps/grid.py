"""The grid of a sweep, `fraction=0.01,0.02;seed+subset_seed=0..4`, read into points. No TensorFlow.

Values are parted by commas outside brackets and quotes, so `crop(4)|cutout(16)` and `jitter(0.4,0.4,0.4,0.1,0.8)` are
one value each, and `milestones="100,150","50,75"` are two. `0..4` is a range of whole numbers, both ends included.
Joined fields take one value for all, or one each: `seed+subset_seed=0..4`, `fraction+width=1+52,0.5+58`.
"""

import dataclasses
import difflib
import io
import itertools
import os

from tf_tickets import storage
from tf_tickets.errors import UsageError
from tf_tickets.settings import recipes
from tf_tickets.settings.checks import integer
from tf_tickets.settings.commands import makers
from tf_tickets.settings.config import options

# The flags that belong to `sweep`, and all that are of a sweep as a whole: none of these tells one run from another.
FLAGS = ("dry_run", "sweep", "engine", "workers", "address", "cpus_per_run", "gpus_per_run")
OF_THE_SWEEP = ("out", "progress", "rule", "allow_other_environment", *FLAGS)
_MOST_RUNS = 10_000
_LARGEST = 1 << 20


@dataclasses.dataclass(frozen=True)
class Point:
    """One point of the grid.

    Attributes:
      command: `imp` or `train`.
      values: dict from field to checked value.
      texts: dict from swept fields as written, such as `seed+subset_seed`, to the value as written.
    """

    command: str
    values: dict
    texts: dict

    def __str__(self):
        """What a message calls it."""
        return " ".join(f"{name}={text}" for name, text in self.texts.items())


def fields() -> list[str]:
    """The names that a grid may hold: `command`, and the settings of runs."""
    settings = [name for name, option in options().items() if option.group != "command"]
    return ["command", *(name for name in settings if name not in OF_THE_SWEEP)]


def points(text: str, command: str = "imp") -> list[Point]:
    """Reads a grid.

    Args:
      text: the value of `--sweep`: fields with their values, parted by semicolons, or a file with one
        field a line, which may be a recipe of the program's own, by its name.
      command: of the points where the grid does not choose it.

    Returns:
      A list of Points, in the order written; the last field varies fastest.

    Raises:
      UsageError: one line that names the piece, what is accepted, and the line of a file.
    """
    axes, seen = [], set()
    for clause, place in _clauses(text):
        name, choices = _axis(clause, place, seen)
        axes.append([(name, written, values) for written, values in choices])
    if not axes:
        raise _fail("names no field: write field=values, such as seed=0..4", f"--sweep={text}")
    count = 1
    for axis in axes:
        count *= len(axis)
    if count > _MOST_RUNS:
        raise _fail(f"{count:,} runs are more than {_MOST_RUNS:,}: sweep fewer values", f"--sweep={text}")
    combined = []
    for combination in itertools.product(*axes):
        values = {field: value for _, _, part in combination for field, value in part.items()}
        texts = {name: written for name, written, _ in combination}
        combined.append(Point(values.pop("command", command), values, texts))
    return combined


def _fail(message, place):
    return UsageError(f"{place}: {message}")


def _clauses(text):
    """(clause, place) for each field of the grid."""
    path = recipes.find(text)
    if os.path.isfile(path):
        return [
            (line.strip(), f"{path}, line {number}")
            for number, line in enumerate(_lines(path), 1)
            if line.strip() and not line.strip().startswith("#")
        ]
    if "=" not in text:
        raise UsageError(f"--sweep={text} is neither a file nor field=values, such as seed=0..4{recipes.hint(text)}")
    return [(clause, "--sweep") for clause in _split(text, ";", "--sweep") if clause]


def _lines(path):
    try:
        if os.path.getsize(path) > _LARGEST:
            raise UsageError(f"--sweep={path} is larger than {_LARGEST} bytes: is it a grid?")
        with io.TextIOWrapper(storage.open_regular(path), encoding="utf-8-sig") as file:
            return file.read().split("\n")
    except UnicodeDecodeError:
        raise UsageError(f"--sweep={path} is not UTF-8 text") from None
    except OSError as error:
        raise UsageError(f"--sweep={path} cannot be read: {error.strerror}") from None


def _split(text, separator, place):
    """Parts of a text, stripped, between separators that stand outside brackets and quotes.

    A quote opens only where a value begins, so that an apostrophe inside a path is a letter.
    """
    parts, start, depth, quote, before = [], 0, 0, "", "="
    for position, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and before in "=,;":
            quote = letter
        elif letter == separator and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
        else:
            depth += {"(": 1, ")": -1}.get(letter, 0)
            if depth < 0:
                raise _fail(f"'{text}' closes a bracket that it has not opened", place)
        before = before if letter.isspace() else letter
    if depth or quote:
        raise _fail(f"'{text}' does not close its {'quote' if quote else 'bracket'}", place)
    return [*parts, text[start:].strip()]


def _axis(clause, place, seen):
    """(the fields as written, [(value as written, {field: value})]) of one clause; adds the fields to `seen`."""
    left, equals, right = clause.partition("=")
    names = [name.strip() for name in left.split("+")]
    if not equals:
        raise _fail(f"'{clause}' is not field=values, such as seed=0..4", place)
    for name in names:
        _check_field(name, place)
        if name in seen:
            raise _fail(f"{name} stands twice: give all its values at once, {name}=A,B", place)
        seen.add(name)
    if "command" in names and len(names) > 1:
        raise _fail(f"command cannot be joined with another field: '{left}'", place)
    choices, known = [], []
    for written in _texts(right, left.strip(), place):
        each = [part.strip() for part in written.split("+")]
        each = each if len(each) == len(names) > 1 else [written] * len(names)
        values = {name: _value(name, part, place) for name, part in zip(names, each)}
        if values in known:
            raise _fail(f"{left.strip()}={written} stands twice", place)
        known.append(values)
        choices.append((written, values))
    return "+".join(names), choices


def _check_field(name, place):
    accepted = fields()
    if name in accepted:
        return
    listed = f"accepted are {', '.join(accepted)}"
    if name in OF_THE_SWEEP:
        raise _fail(f"{name} is of the sweep as a whole, as --{name}; {listed}", place)
    close = difflib.get_close_matches(name, accepted, 1)
    raise _fail(f"'{name}' is no field to sweep; {f'did you mean {close[0]}? ' if close else ''}{listed}", place)


def _texts(text, name, place):
    """The single values of a list as written, ranges spelled out and quotes taken off."""
    if not text.strip():
        raise _fail(f"{name}= has no values: write {name}=A,B or, for whole numbers, {name}=0..4", place)
    texts = []
    for part in _split(text, ",", place):
        low, dots, high = part.partition("..")
        if part[:1] in ("'", '"') and part[-1] == part[0] and len(part) > 1:
            texts.append(part[1:-1])
        elif dots and integer(low) is not None and integer(high) is not None:
            texts += [str(number) for number in _range(int(low), int(high), part, name, place)]
        else:
            texts.append(part)
    if not all(texts):
        raise _fail(f"{name}={text} has an empty place in its list", place)
    return texts


def _range(low, high, part, name, place):
    if high < low:
        raise _fail(f"{name}={part} counts down: write {high}..{low}", place)
    if high - low >= _MOST_RUNS:
        raise _fail(f"{name}={part} has more than {_MOST_RUNS:,} values: sweep fewer", place)
    return range(low, high + 1)


def _value(name, text, place):
    if name == "command":
        if text not in makers():
            raise _fail(f"command={text} is not one of {', '.join(makers())}", place)
        return text
    try:
        return options()[name].parse(text)
    except ValueError as error:
        raise _fail(f"{name}={text} {error}", place) from None
