"""Command-line words to a request: absl flags made from the Config's fields, strict about everything else."""

import dataclasses
import difflib
import os
import shlex
import sys

from absl import flags

from tf_tickets import notices, own_networks, plugins
from tf_tickets.errors import UsageError, plain
from tf_tickets.registry import COMMANDS, NETWORKS
from tf_tickets.settings import config as configs
from tf_tickets.settings import flagfiles, help_texts
from tf_tickets.settings.commands import check_command, heeded, listed


@dataclasses.dataclass(frozen=True)
class Request:
    """One parsed command line.

    Attributes:
      command: a name in registry.COMMANDS.
      paths: its further words.
      config: the resolved Config.
      names: the flags that were set.
    """

    command: str
    paths: tuple
    config: configs.Config
    names: frozenset

    def given(self, name: str) -> bool:
        """Whether a flag was set on the command line or in a flagfile."""
        return name in self.names


class _Parser(flags.ArgumentParser):
    """Hands a flag's text to its Option."""

    def __init__(self, option):
        super().__init__()
        self._option = option
        self.syntactic_help = ""

    def parse(self, argument):
        """The checked value."""
        return self._option.parse(argument) if isinstance(argument, str) else argument

    def flag_type(self):
        """For absl's own help."""
        return self._option.type.__name__


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines one absl flag per Config field, once."""
    for name, option in configs.options().items():
        if name in flag_values:
            continue
        if option.type is bool:
            flags.DEFINE_bool(name, option.default, option.help, flag_values)
        else:
            flags.DEFINE(_Parser(option), name, option.default, option.help, flag_values, flags.ArgumentSerializer())


def flags_table() -> str:
    """The flags as a Markdown table, that of docs/reference/flags.md."""
    lines = ["| flag | default | meaning |", "|---|---|---|"]
    for name, option in configs.options().items():
        default = "unset" if option.default is None else option.default
        default = f"{default:.4g}" if isinstance(default, float) else default
        tail = f" [{', '.join(option.choices)}]" if option.choices else ""
        text = (option.help + tail).replace("|", "\\|")
        lines.append(f"| `{name}` | {str(default).lower() if option.type is bool else default} | {text} |")
    return "\n".join(lines)


def parse(argv: list[str], flag_values: flags.FlagValues) -> Request:
    """Parses a command line.

    Args:
      argv: the words, the program's name first.
      flag_values: an absl FlagValues, which the values are also set in.

    Raises:
      UsageError: one line that names value, place and remedy.
      SystemExit: with status 0, after printing help.
    """
    try:
        if (asked := help_texts.asked(argv[1:])) is not None:
            _load_plugins(flagfiles.expand([word for word in argv[1:] if word.startswith("--plugins")]))
            print(help_texts.text(asked), flush=True)
            sys.exit(0)
        return _parse(argv, flag_values)
    except UsageError as error:
        raise UsageError(plain(error)) from None


def _parse(argv, flag_values):
    options = configs.options()
    define_flags(flag_values)
    switches = {name for name, option in options.items() if option.type is bool}
    switches |= {name for name in flag_values if flag_values[name].boolean}  # absl's own, --logtostderr
    switches |= {f"no{name}" for name in switches}
    tokens = flagfiles.expand(argv[1:], lambda name: name in switches)
    _load_plugins(tokens)
    _load_network(tokens)
    words = [token.text for token in tokens if not token.is_flag]
    values, typed, overruled = _assigned([token for token in tokens if token.is_flag], options, flag_values)
    flag_values.mark_as_parsed()
    command, paths = _command(words)
    for name, value in COMMANDS[command].stands_for(paths).items():
        if name in values:
            raise UsageError(f"{command} {paths[0]}: --{name}={values[name]} names other pictures; leave one out")
        values[name] = value
    if command == "prepare":
        values["dataset"] = _dataset(paths[0])
    if command == "pretrain":
        values.setdefault("rewind", "init")  # nothing is rewound: a short pretraining is not too short for it
    # What a sweep's flags leave in conflict its grid may settle; each of its runs is checked.
    made = configs.Config.unchecked if COMMANDS[command].flags_of_runs else configs.Config.from_values
    config = made(**values)
    for name, value in config.values().items():
        flag_values[name].value = value
    check_command(command, config, paths)
    _note_unheeded(command, typed)
    _note_overruled(values, typed, overruled)
    return Request(command, tuple(paths), config, frozenset(values))


def _assigned(tokens, options, flag_values):
    """(values, those that were typed, the tokens of flagfiles that stand behind these) by name; absl's own are set."""
    values, typed, overruled = {}, {}, {}
    for token in tokens:
        if _is_absl(token.text, options, flag_values):
            _set_absl(token, flag_values)
            continue
        option, text = flagfiles.split_assignment(token, options)
        values[option.name] = flagfiles.parse_value(option, text, token)
        if not token.place:
            typed[option.name] = values[option.name]
            overruled.pop(option.name, None)
        elif option.name in typed:
            overruled[option.name] = token
    return values, typed, overruled


def _note_unheeded(command, typed):
    """Says which flags that were typed the command does not read; a flagfile may have others' too."""
    names = [f"--{name}" for name in typed if name not in heeded(command)]
    if names and not COMMANDS[command].flags_of_runs:  # whose runs refuse what is not theirs
        notices.say(f"{command} does not read {listed(names)}; {command} --help lists the flags that it reads")


def _note_overruled(values, typed, overruled):
    """Says which flags that were typed have another value from a flagfile that stands behind them."""
    for name, token in overruled.items():
        if values[name] != typed[name]:
            notices.say(
                f"--{name}={typed[name]} is overruled by {token.text} ({token.place}), since of two the later one "
                f"counts: put --{name} after --flagfile to keep it"
            )


def _load_plugins(tokens):
    """Before any other flag is read: what plugins register are values that flags may have."""
    if token := flagfiles.last_value(tokens, "plugins"):
        try:
            plugins.load(token.text.partition("=")[2])
        except UsageError as error:
            raise token.fail(str(error)) from None


def _load_network(tokens):
    """The module that `--model=PACKAGE.MODULE:FUNCTION` names, unless what stands before the colon is the program's."""
    token = flagfiles.last_value(tokens, "model")
    text = token.text.partition("=")[2] if token else ""
    if token and own_networks.is_function(text) and not NETWORKS.has_group(text):
        try:
            plugins.load_network(text)
        except UsageError as error:
            raise token.fail(str(error)) from None


def _is_absl(text, options, flag_values):
    name = text[2:].partition("=")[0]
    return (
        name not in options
        and name.removeprefix("no") not in options
        and (name in flag_values or name.removeprefix("no") in flag_values)
    )


def _set_absl(token, flag_values):
    try:
        flag_values(["tf-tickets", token.text])
    except flags.Error as error:
        raise token.fail(str(error)) from None


def _command(words):
    command, paths = (words[0], words[1:]) if words and words[0] in COMMANDS else ("imp", words)
    takes = COMMANDS[command].paths
    if takes is None and paths:
        raise UsageError(f"'{paths[0]}' is a stray word: {_meant(command, paths[0])}")
    for problem in takes.problems(command, paths) if takes else ():
        raise UsageError(problem)
    return command, paths


def _meant(command, word):
    """What a word that a command does not take was meant to be, as the end of a message."""
    path = shlex.quote(word)
    if os.path.isfile(word):
        flag = {".npz": "--data_file", ".csv": "--labels_file", ".sweep": "--sweep"}.get(os.path.splitext(word)[1])
        return f"a file is given by its flag, such as {flag or '--flagfile'}={path}; --help lists the flags"
    if os.path.isfile(os.path.join(word, "ticket.json")):
        return f"a ticket is given as --ticket={path}, with train"
    if os.path.isfile(os.path.join(word, "config.cfg")):
        return f"a run goes on where its settings are given again: --flagfile={shlex.quote(f'{word}/config.cfg')}"
    if os.path.isdir(word):
        typed = "" if command == "imp" else f"{command} "
        given = f"{typed}--dataset=folder --data_dir={path}"
        return f"a folder of pictures, with one folder per class in it, is given as {given}"
    close = difflib.get_close_matches(word, COMMANDS, 1)
    return f"did you mean {close[0]}?" if close else f"commands are {', '.join(COMMANDS)}; flags begin with --"


def _dataset(name):
    try:
        return configs.options()["dataset"].parse(name)
    except ValueError as error:
        raise UsageError(f"prepare {name}: {error}") from None
