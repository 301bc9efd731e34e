"""What `--help` prints: an overview, one command, one group of flags, or everything."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from tf_tickets.errors import UsageError
from tf_tickets.registry import ANALYSES, COMMANDS, EVALUATORS
from tf_tickets.settings import config as configs
from tf_tickets.settings import help_words, recipes
from tf_tickets.settings.checks import studies
from tf_tickets.settings.commands import Command, heeded

SWITCHES = ("--help", "-h", "-help", "--helpfull", "--helpshort")
_RECIPES = "recipes"
_PROGRAM = "python -m tf_tickets.main"
_STATUS = (
    "exit status: 0 done, 2 bad flag or input, 3 state on disk damaged or not writable, 4 run folder in use,",
    "             5 training diverged, 75 stopped on request (run again to continue), 1 a defect of the program",
)
# Parts that a flag chooses from: title, and function to them by name.
_PARTS = {
    "evaluators": ("what evaluate --evaluators=LIST measures", lambda: EVALUATORS),
    "analyses": ("what analyze --what=LIST measures", lambda: {name: ANALYSES[name] for name in studies()}),
}


def asked(words: Sequence[str]) -> str | None:
    """What a command line asks help of: a name, `full`, nothing in particular (empty), or None: no help.

    Args:
      words: after the program's name.
    """
    named = next((word.partition("=")[2] for word in words if word.startswith("--help=")), None)
    if named is not None:
        return named
    if "--helpfull" in words:
        return "full"
    if not set(SWITCHES) & set(words):
        return None
    return next((word for word in words if word in COMMANDS), "")


def text(name: str) -> str:
    """The help that `asked` names.

    Raises:
      UsageError: no command, group, flag or kind of part has the name.
    """
    options = configs.options()
    if name in ("", "full"):
        return full() if name else overview()
    if name in COMMANDS:
        return _of_command(name, COMMANDS[name])
    if name in configs.GROUPS:
        return "\n".join(_group(name, _names_in(name)))
    if name in _PARTS:
        return "\n".join(_parts(name))
    if name == _RECIPES:
        return "\n".join(_recipes())
    if name in options:
        return "\n".join([*_flag(name), *_explained(options[name].explained)])
    if name in recipes.names():
        return "\n".join(_explained({name: recipes.first_sentence(name)}))
    if values := help_words.flags_of(name):
        return "\n".join(line for flag in values for line in _value(name, flag))
    if subject := help_words.subject(name):
        return f"{name}: {subject}"
    raise UsageError(f"--help={name}: {help_words.near(name, [*COMMANDS, *configs.GROUPS, *_PARTS, _RECIPES])}")


def overview() -> str:
    """One screen: the commands, and where the flags are."""
    return "\n".join([
        f"usage: {_PROGRAM} [COMMAND] [PATH ...] [--flagfile=FILE ...] [--flag=value ...]", "",
        "Finds sparse winning tickets from few labelled images. If a flag is given twice, the later one counts.", "",
        f"commands ({_PROGRAM} COMMAND --help shows the flags of one, with examples):",
        *(f"  {name:10s}{command.summary}" for name, command in COMMANDS.items()), "",
        "flags, by group (--help=GROUP or --help=FLAG shows them, --helpfull all):",
        *(f"  {group:12s}{_sentence(group)}" for group in configs.GROUPS),
        *(f"  {name:12s}{title}" for name, (title, _) in _PARTS.items()),
        f"  {_RECIPES:12s}flagfiles and grids that come with the program, for --flagfile=NAME and --sweep=NAME", "",
        *_STATUS,
    ])  # fmt: skip


def full() -> str:
    """Every command and flag with its default and one sentence."""
    lines = [
        f"usage: {_PROGRAM} [COMMAND] [PATH ...] [--flagfile=FILE ...] [--flag=value ...]", "",
        "Finds sparse winning tickets from few labelled images. If a flag is given twice, the later one counts.",
        "", "commands:",
        *(f"  {name:10s}{command.summary}" for name, command in COMMANDS.items()),
    ]  # fmt: skip
    for name in _PARTS:
        lines += ["", *_parts(name)]
    for group in configs.GROUPS:
        lines += ["", *_group(group, _names_in(group))]
    return "\n".join([*lines, "", *_STATUS])


def _of_command(name: str, command: Command) -> str:
    paths = "" if command.paths is None else " PATH ..." if command.paths.least else " [PATH ...]"
    usage = f"usage: {_PROGRAM} {name}{paths} [--flagfile=FILE ...] [--flag=value ...]"
    lines = [usage, "", f"{name}: {command.summary}", ""]
    lines += ["examples:"]
    lines += [f"  {_PROGRAM} {name} {example}" for example in command.examples]
    own = [flag for flag in command.flags if configs.options()[flag].group == "command"]
    if own:
        lines += ["", "Flags of this command and of few others"]
        lines += [line for flag in own for line in _flag(flag)]
    for part in _PARTS:
        if {"evaluators": "evaluators", "analyses": "what"}[part] in own:
            lines += ["", *_parts(part)]
    names = heeded(name)
    for group in configs.GROUPS:
        of_group = [flag for flag in _names_in(group) if flag in names and flag not in own]
        if of_group:
            lines += ["", *_group(group, of_group)]
    return "\n".join(lines)


def _names_in(group: str) -> list[str]:
    return [name for name, option in configs.options().items() if option.group == group]


def _sentence(group: str) -> str:
    sentence = str(configs.GROUPS[group].__doc__)
    return sentence[0].lower() + sentence[1:].rstrip(".")


def _parts(name: str) -> list[str]:
    title, parts = _PARTS[name]
    return [f"{title}:", *(f"  {part:12s}{known.text}" for part, known in parts().items())]


def _recipes() -> list[str]:
    lines = ["recipes; --flagfile=NAME and --sweep=NAME find them by name from any folder without a file of that name:"]
    lines += _explained({name: recipes.first_sentence(name) for name in recipes.names()})
    return [*lines, "", f"They are in {recipes.folder()}; each begins with its command and its cost."]


def _value(name: str, flag: str) -> list[str]:
    """What a flag's value is: that flag, and the sentence of the value where it has one."""
    sentence = help_words.sentence(name, flag)
    told = _explained({name: sentence}) if sentence else []
    return [f"{name} is a value of --{flag}", *_flag(flag), *told]


def _explained(texts: Mapping[str, str]) -> list[str]:
    """Lines of at most 120 columns: names, and beside them what they mean."""
    column = 8 + max(map(len, texts), default=0)
    lines = []
    for name, text in texts.items():
        lines += textwrap.wrap(
            text, 120, initial_indent=f"      {name}".ljust(column), subsequent_indent=" " * column,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return lines


def _group(group: str, names: Iterable[str]) -> list[str]:
    return [f"{configs.GROUPS[group].__doc__} ({group})", *(line for name in names for line in _flag(name))]


def _flag(name: str) -> list[str]:
    option = configs.options()[name]
    shown = "unset" if option.default is None else option.default
    shown = str(shown).lower() if option.type is bool else shown
    tail = f" [{', '.join(option.choices)}]" if option.choices else ""
    return [f"  --{name}  (default: {shown})", f"      {option.help}{tail}"]
