"""The whole configuration of a run: flat values and flagfiles in, a checked Config out, and its digest.

Library code takes a `Config`; only `main` and `cli` see flags. This module imports no TensorFlow, so `--help`,
`--dry_run` and every flag error answer at once.
"""

import dataclasses
import difflib
import functools
import hashlib
import typing
from collections.abc import Iterable

from tf_tickets import plugins
from tf_tickets.errors import UsageError, shown
from tf_tickets.registry import NETWORKS
from tf_tickets.settings import conflicts, flagfiles
from tf_tickets.settings.data_group import Data
from tf_tickets.settings.groups import FULL_ROUNDS, Choice, Network, Pruning, Run, Training
from tf_tickets.settings.inputs import Command
from tf_tickets.settings.options import Option, accepted, checked

__all__ = ["GROUPS", "Config", "options"]

GROUPS = {
    "data": Data, "network": Network, "training": Training, "pruning": Pruning, "choice": Choice, "run": Run,
    "command": Command,
}  # fmt: skip


@functools.cache
def options() -> dict[str, Option]:
    """All options by name, in the order in which they are declared."""
    by_name = {}
    for group, cls in GROUPS.items():
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            kinds = [kind for kind in typing.get_args(hints[field.name]) or (hints[field.name],)]
            kind = next(k for k in kinds if k is not type(None))
            by_name[field.name] = Option(field.name, group, kind, type(None) in kinds, field.default, field.metadata)
    return by_name


@dataclasses.dataclass(frozen=True, init=False)
class Config:
    """The whole resolved configuration of one run: `Config(dataset="digits", epochs=3)`.

    Attributes:
      data, network, training, pruning, choice, run, command: the groups of settings.
    """

    data: Data = Data()
    network: Network = Network()
    training: Training = Training()
    pruning: Pruning = Pruning()
    choice: Choice = Choice()
    run: Run = Run()
    command: Command = Command()

    def __init__(self, **values: typing.Any):
        """Settings by name, as `from_values` takes them; or whole groups by theirs, which are not checked."""
        groups = {name: values.pop(name, cls()) for name, cls in GROUPS.items()}
        for name, cls in GROUPS.items():
            if not isinstance(groups[name], cls):
                raise UsageError(
                    f"Config({name}=) takes a {cls.__name__}, not a {type(groups[name]).__name__}; images and networks "
                    "are given to the call: tt.imp(config, data=..., model=...)"
                )
        if values:
            flat = {name: getattr(groups[option.group], name) for name, option in options().items()}
            made = Config.from_values(**flat | values)
            groups = {name: getattr(made, name) for name in GROUPS}
        for name, group in groups.items():
            object.__setattr__(self, name, group)

    @classmethod
    def from_values(cls, **values: typing.Any) -> "Config":
        """Builds a Config from flat values; raises UsageError for an unknown name, a bad value or a conflict."""
        config = cls.unchecked(**values)
        conflicts.check(config)
        return config

    @classmethod
    def unchecked(cls, **values: typing.Any) -> "Config":
        """Like `from_values`, but values may conflict: those of a sweep, whose grid changes some of them."""
        if isinstance(values.get("plugins"), str):
            plugins.require(values["plugins"])
        groups = {group: {} for group in GROUPS}
        for name, value in values.items():
            if name not in options():
                close = difflib.get_close_matches(name, options(), 1)
                raise UsageError(f"--{name} is no flag{f'; did you mean --{close[0]}?' if close else ''}")
            option = options()[name]
            if value is None and not option.optional:
                raise UsageError(f"--{name}=None is no value: give {accepted(option)}")
            if value is not None:
                try:
                    value = checked(option, value)
                except ValueError as error:
                    raise UsageError(f"--{name}={shown(value)} {error}") from None
            groups[option.group][name] = value
        return cls(**{group: GROUPS[group](**chosen) for group, chosen in groups.items()})

    @classmethod
    def from_flagfile(cls, path: str, **overrides: typing.Any) -> "Config":
        """Reads a flagfile, or a recipe by its name, and those it nests; keyword arguments win over its lines.

        Its plugins must be loaded.
        """
        values, tokens = {}, flagfiles.expand([f"--flagfile={path}"])
        if named := flagfiles.last_value(tokens, "plugins"):
            plugins.require(named.text.partition("=")[2], named.place)
        for token in tokens:
            option, value = flagfiles.split_assignment(token, options())
            values[option.name] = flagfiles.parse_value(option, value, token)
        return cls.from_values(**{**values, **overrides})

    def values(self) -> dict[str, typing.Any]:
        """All settings as one flat dict, in declared order."""
        return {name: getattr(getattr(self, option.group), name) for name, option in options().items()}

    def replace(self, **changes: typing.Any) -> "Config":
        """A copy with some settings changed, checked again."""
        return Config.from_values(**{**self.values(), **changes})

    @property
    def _implied(self):
        """What some settings are where they are unset."""
        return {
            "width": NETWORKS[self.network.model].default_width, "augment": "base", "full_rounds": FULL_ROUNDS,
            "backbone_learning_rate": self.training.learning_rate,
        }  # fmt: skip

    def settled(self) -> dict[str, typing.Any]:
        """As `values`, with what is implied where a setting is unset."""
        return {name: self._implied.get(name) if value is None else value for name, value in self.values().items()}

    @property
    def order_seed(self) -> int:
        """The seed of order and augmentation, which defaults to the seed."""
        return self.run.seed if self.run.order_seed is None else self.run.order_seed

    @property
    def augment(self) -> str:
        """The augmentation policy, with its default resolved."""
        return self.data.augment or self._implied["augment"]

    @property
    def choose(self) -> str:
        """The rule that chooses the ticket's round, with its default resolved."""
        unlike = self.pruning.searches and self.choice.rival != "none"
        return self.choice.choose or ("validation" if self.data.validation and not unlike else "last")

    def flagfile(self, command: str = "imp") -> str:
        """The text of a flagfile that repeats this run."""
        lines = [f"# python -m tf_tickets.main {command} --flagfile=THIS_FILE"]
        if command == "imp":
            lines.append("# --rounds is what was asked for first; when more were, later, table.csv has them all.")
        for name, option in options().items():
            value = getattr(getattr(self, option.group), name)
            if value is not None and option.group != "command" and name != "dry_run":
                lines.append(option.format(value))
        return "\n".join(lines) + "\n"

    def digest(self, command: str = "imp", content: Iterable[tuple[str, object]] = ()) -> str:
        """Eight hex digits over the settings that change the numbers.

        Args:
          command: `imp` or `train`; the two never share a folder.
          content: (name, hash) pairs that stand in for paths, such as the ticket's content digest.
        """
        hashes = dict(content)
        lines = [f"command={command}"] + [f"{name}:{value}" for name, value in sorted(hashes.items())]
        chooses = self.data.validation is not None
        for name, option in sorted(options().items()):
            counts = option.metadata["digest"] or (name == "eval_every" and chooses)
            value = getattr(getattr(self, option.group), name)
            # What is written out and the same left to its default are one run.
            usual = (option.default, self._implied.get(name, option.default))
            if counts and name not in hashes and value not in usual:
                lines.append(option.format(value))
        return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()[:8]
