"""Flagfiles and command-line words, read strictly.

absl ignores a flagfile line without dashes and any stray word; here both are refused, with file and line. Nested
`--flagfile` paths are relative to the file that names them and stay inside the folder of the flagfile given on the
command line, so a recipe from somebody else cannot pull in other files. What is not there may be a recipe of the
program's own, by its name.
"""

import dataclasses
import difflib
import os
import stat
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence

from tf_tickets import own_networks
from tf_tickets.errors import UsageError
from tf_tickets.settings import recipes
from tf_tickets.settings.options import Option

_LARGEST = 1 << 20


@dataclasses.dataclass(frozen=True)
class Token:
    """One word of a command line or one line of a flagfile, and where it stands; `is_flag` is False after `--`."""

    text: str
    place: str = ""
    is_flag: bool = True

    def fail(self, message: str) -> UsageError:
        """A UsageError that names the place."""
        return UsageError(f"{message} ({self.place})" if self.place else message)


def expand(words: Iterable[str], is_switch: Callable[[str], bool] = lambda name: False) -> list[Token]:
    """Replaces every `--flagfile` by the lines of the file, recursively.

    Args:
      words: command-line words after the program's name.
      is_switch: name -> whether that flag takes no value, so that the next word is not its value.

    Returns:
      A list of Tokens: `--name=value`, `--name`, or plain words.
    """
    tokens, words = [], list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            tokens += [Token(rest, is_flag=False) for rest in words]
            break
        if not word.startswith("-") or word == "-":
            tokens.append(Token(word, is_flag=False))
            continue
        name, equals, value = word.lstrip("-").partition("=")
        # A flag without a value is left to split_assignment, which knows whether there is such a flag.
        if not equals and not is_switch(name) and words and not words[0].startswith("--"):
            value = words.pop(0)
            equals = "="
        if name == "flagfile":
            if not value:
                raise UsageError("--flagfile needs a file: write --flagfile=FILE")
            path = recipes.find(value)
            root = os.path.dirname(os.path.realpath(path))
            tokens += _read(path, root, Token(f"--flagfile={value}"), ())
        else:
            tokens.append(Token(f"--{name}{equals}{value}"))
    return tokens


def last_value(tokens: Sequence[Token], name: str) -> Token | None:
    """The last Token that sets a flag, which is the one that counts; None where none does."""
    return next((token for token in reversed(tokens) if token.is_flag and token.text.startswith(f"--{name}=")), None)


def _read(path, root, source, parents):
    real = os.path.realpath(path)
    if real in parents:
        chain = " -> ".join(os.path.basename(p) for p in (*parents, real))
        raise source.fail(f"flagfiles nest in a circle: {chain}")
    if os.path.commonpath([root, real]) != root:
        raise source.fail(f"flagfile {path} lies outside {root}: keep nested flagfiles in that folder")
    parents = (*parents, real)
    tokens = []
    for number, line in enumerate(_lines(path, source), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        token = Token(line, f"{path}, line {number}")
        if not line.startswith("--") or line == "--":
            raise token.fail(f"'{line}' is not a flag: flagfile lines read --name=value or start with #")
        name, equals, value = line[2:].partition("=")
        if name == "flagfile":
            if not value:
                raise token.fail("--flagfile needs a file: write --flagfile=FILE")
            # A link stands for the file it points to, whose neighbours its lines name.
            folder = os.path.dirname(real if os.path.islink(path) else path)
            tokens += _read(*_nested(folder, value, root), token, parents)
        elif name.split() != [name]:
            meant = (name.split() or ["NAME"])[0]
            raise token.fail(f"'{line}' is not a flag: write --{meant}=VALUE, one a line")
        else:
            if name == "model":
                own_networks.read_beside(real, value)
            tokens.append(token)
    return tokens


def _nested(folder, value, root):
    """(path, folder that it and what it nests have to stay in) of a flagfile that one in `folder` names."""
    beside, recipe = os.path.join(folder, value), recipes.named(value)
    if recipe is None or os.path.lexists(beside):
        return beside, root
    return recipe, os.path.realpath(recipes.folder())


def _lines(path, source):
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise source.fail(f"flagfile {path} is not a regular file")
        if status.st_size > _LARGEST:
            raise source.fail(f"flagfile {path} is larger than {_LARGEST} bytes: is it a flagfile?")
        with open(path, encoding="utf-8-sig") as file:  # some editors begin a file with a byte-order mark
            text = file.read()
    except UnicodeDecodeError:
        raise source.fail(f"flagfile {path} is not UTF-8 text") from None
    except OSError as error:
        hint = recipes.hint(source.text.partition("=")[2]) if isinstance(error, FileNotFoundError) else ""
        raise source.fail(f"flagfile {path} cannot be read: {error.strerror}{hint}") from None
    if "\x00" in text:
        raise source.fail(f"flagfile {path} is not text")
    return text.split("\n")


def split_assignment(token: Token, options: Mapping[str, Option]) -> tuple[Option, str]:
    """A `--name=value` token to (option, text); raises UsageError for unknown names and missing values."""
    name, equals, value = token.text[2:].partition("=")
    if name not in options and name.startswith("no") and name[2:] in options and options[name[2:]].type is bool:
        if equals:
            raise token.fail(f"--{name} takes no value: write --{name[2:]}={value}")
        return options[name[2:]], "false"
    if name not in options:
        close = difflib.get_close_matches(name, options, 1)
        raise token.fail(f"--{name} is no flag{f'; did you mean --{close[0]}?' if close else '; --help lists them'}")
    if not equals:
        if options[name].type is not bool:
            raise token.fail(f"--{name} needs a value: write --{name}=VALUE")
        value = "true"
    return options[name], value


def parse_value(option: Option, text: str, token: Token) -> typing.Any:
    """Parses one flag's text; the error names flag, value and place."""
    try:
        return option.parse(text)
    except ValueError as error:
        raise token.fail(f"--{option.name}={text} {error}") from None
