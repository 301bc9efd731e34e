"""What is asked of a command, and the flags and paths that it takes; each has a module of `tf_tickets.commands`."""

import dataclasses
import os
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence

from tf_tickets import locks
from tf_tickets.errors import UsageError
from tf_tickets.registry import COMMANDS, CONTROLS
from tf_tickets.settings import config as configs
from tf_tickets.settings.groups import IMAGENET

# Flags of devices, which whatever computes reads.
DEVICES = ("deterministic", "precision", "strategy", "jit")
ATTACKS = ("attack_eps", "attack_step", "attack_steps")


@dataclasses.dataclass(frozen=True)
class Paths:
    """How many words follow a command, and what they are.

    Attributes:
      least, most: how many; None: as many as are given.
      needs: what they are, which is said where there are fewer, or where one does not exist.
      takes: what the command takes, where there are more.
      exist: whether they are files and folders that have to be there; - too, if `standard_input`.
    """

    least: int = 0
    most: int | None = None
    needs: str = "a path"
    takes: str = "one path"
    exist: bool = True
    standard_input: bool = False

    def problems(self, command: str, paths: Sequence[str]) -> Iterator[str]:
        """What is wrong with the words after a command."""
        record, wanted = COMMANDS[command], f"{command} needs {self.needs}"
        if self.most is not None and len(paths) > self.most:
            yield f"'{paths[self.most]}' is a stray word: {command} takes {self.takes}"
        if len(paths) < self.least:
            yield f"{wanted}, such as: {command} {record.examples[0]}"
        for path in paths if self.exist else ():
            if not os.path.exists(path) and not (self.standard_input and path == "-"):
                yield f"{path} does not exist; {wanted}, and {command} --help has examples"


class Command:
    """A command. Each derives from it, registers itself in `registry.COMMANDS`, and says what is not as here."""

    order: int = 1000
    """Its place where commands are listed."""
    summary: str
    """One line for `--help`."""
    paths: Paths | None = None
    """The words that it takes; None: none at all."""
    flags: tuple[str, ...] = ()
    """The flags that belong to it, and to other commands that name them, alone."""
    examples: tuple[str, ...] = ()
    """Command lines for `--help`, without the program."""
    makes_rounds: bool = False
    """Whether it makes the rounds of a run: such a command can be swept."""
    flags_of_runs: bool = False
    """Whether flags that are not its own are those of its runs, which are checked one by one."""
    locks: bool = False
    """Whether it keeps a run folder to itself from its beginning."""
    heeds_stop: bool = False
    """Whether it heeds a request to stop, because it has something to save; others are left at once."""
    plan: Callable[[configs.Config], str] | None = None
    """What `--dry_run` prints, without TensorFlow and with nothing touched; None: `run` heeds `--dry_run` itself."""

    def heeds(self) -> Iterable[str] | None:
        """The flags that it reads beside `flags`, --plugins and --progress; None: all of runs."""
        return None

    def prints(self, config: configs.Config) -> bool:
        """Whether its result is what it prints; others leave it in files too."""
        return False

    def stands_for(self, paths: Sequence[str]) -> dict[str, str]:
        """The flags that its words stand for, with their values; they may not be given too."""
        return {}

    def problems(self, paths: Sequence[str], config: configs.Config) -> Iterator[str]:
        """What is wrong with flags and paths, beyond `flags` and `paths`; the first counts."""
        return iter(())

    def run(self, request: typing.Any) -> int:
        """Runs it.

        Returns:
          The exit status.
        """
        raise NotImplementedError


def of_groups(*groups: str) -> list[str]:
    """The flags of some groups."""
    return [name for name, option in configs.options().items() if option.group in groups]


def heeded(command: str) -> set[str]:
    """The flags that a command reads."""
    record = COMMANDS[command]
    names = record.heeds()
    if names is None:
        names = [name for name, option in configs.options().items() if option.group != "command"]
    return {*record.flags, *names, "plugins", "progress"}


def check_command(command: str, config: configs.Config, paths: Sequence[str] = ()) -> None:
    """Raises UsageError for flags that do not belong to a command, and for paths that are not there."""
    record = COMMANDS[command]
    if record.locks and not config.run.dry_run:
        locks.check(command)
    for problems in (_general(command, config), record.problems(paths, config)):
        for problem in problems:
            raise UsageError(problem)


def changed(config: configs.Config, names: Iterable[str]) -> list[str]:
    """Those of some flags whose values are not the default."""
    values = config.values()
    return [name for name in names if values[name] != configs.options()[name].default]


def _general(command, config):
    """What is wrong with flags, whatever the command."""
    record, pruning = COMMANDS[command], config.pruning
    if config.run.strategy == "multi_worker" and not record.makes_rounds:
        yield f"--strategy=multi_worker belongs to {listed(makers())}, not {command}"
    if record.flags_of_runs:
        return
    if pruning.ticket is not None and "ticket" not in record.flags:
        yield f"--ticket belongs to train, not {command}: python -m tf_tickets.main train --ticket=DIR"
    if pruning.ticket is not None and not os.path.isdir(pruning.ticket):
        yield f"--ticket={pruning.ticket} is no folder; give a ticket or round folder"
    backbone = config.network.backbone
    if backbone is not None and not os.path.isfile(backbone):
        yield f"--pretrained={backbone} is no file; give a .safetensors, .npz, .h5 or .pth, or {IMAGENET}"
    owned = dict.fromkeys(name for part in COMMANDS.values() for name in part.flags)
    for name in changed(config, [name for name in owned if name not in record.flags]):
        owners = sorted(owner for owner, part in COMMANDS.items() if name in part.flags)
        yield f"--{name} belongs to {listed(owners)}, not {command}"
    if record.makes_rounds:
        yield from _of_rounds(command, config)


def _of_rounds(command, config):
    for name in () if config.training.adversarial else changed(config, ATTACKS):
        yield f"--{name} belongs to --adversarial, which is not set"
    pruning, place = config.pruning, CONTROLS[config.pruning.control].place
    here = command if command == "imp" else f"train {'without --ticket' if pruning.ticket is None else '--ticket=DIR'}"
    if place is not None and not here.startswith(place):
        yield f"--control={pruning.control} belongs to {place}, not {here}"


def format_problems(command: str, text: str | None, accepted: Sequence[str]) -> Iterator[str]:
    """What is wrong with `--format`, of which a command accepts some."""
    if text is not None and not set(text.split(",")) <= set(accepted):
        yield f"--format={text}: {command} takes {', '.join(accepted)}"


def makers() -> list[str]:
    """The commands that make the rounds of a run."""
    return [name for name, record in COMMANDS.items() if record.makes_rounds]


def listed(names: Sequence[str]) -> str:
    """Names as a list in a sentence: a, b and c."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
