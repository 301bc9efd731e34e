"""Tables of parts by name: each part of a kind registers itself, and says on its own all that is asked of it."""

import importlib
import pkgutil
import typing
from collections.abc import Callable, Iterator, Mapping


class Registry(Mapping):
    """Parts of one kind by name: by their `order`, where they have one, else as they were registered.

    Attributes:
      kind: what a part is called in messages.

    What registers the program's own parts is imported when the table is first looked at, so that settings, which stand
    below it, can offer the names.
    """

    def __init__(self, kind: str, home: str, each_module: bool = False):
        """What is in a table.

        Args:
          kind: what a part is called in messages.
          home: the module that registers the program's own parts, or imports those that do.
          each_module: whether it is a package of which every module registers parts.
        """
        self.kind, self._home, self._parts, self._groups, self._patterns = kind, home, {}, {}, {}
        self._each_module, self._complete = each_module, False

    def register(self, name: str) -> Callable[[typing.Any], typing.Any]:
        """A decorator that puts what it decorates, a class as an instance of it, under a name; ValueError if taken."""
        self._load()  # a user's part comes after the program's own, which it may not replace

        def put(part):
            if name in self._parts:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._parts[name] = part() if isinstance(part, type) else part
            return part

        return put

    def register_group(self, prefix: str, spelled: str | None = "") -> Callable[[type[Mapping]], type[Mapping]]:
        """A decorator of a Mapping of many parts by whole name, `prefix:NAME`, which are not listed one by one.

        Args:
          prefix: what their names begin with; empty: those with a colon that are of no other group.
          spelled: what stands for them in lists, by default `prefix:NAME`; None: nothing.
        """
        self._load()

        def put(parts):
            self._groups[prefix], self._patterns[prefix] = parts(), f"{prefix}:NAME" if spelled == "" else spelled
            return parts

        return put

    @property
    def spelled(self) -> tuple[str, ...]:
        """The names, of a group its pattern alone."""
        return (*self._all, *filter(None, self._patterns.values()))

    def near(self, name: str) -> tuple[str, ...]:
        """What a name that is none may have meant: the group's whose prefix it has, else what is `spelled`."""
        return tuple(self._group(name) or self.spelled)

    def has_group(self, name: str) -> bool:
        """Whether a name begins as those of a group with a prefix."""
        self._load()
        return name.partition(":")[0] in self._groups

    def _group(self, name):
        self._load()
        prefix, colon, _ = str(name).partition(":")
        return self._groups.get(prefix, self._groups.get("")) if colon else None

    def _load(self) -> None:
        if self._complete:
            return
        self._complete = True  # what is imported here registers itself in turn
        home = importlib.import_module(self._home)
        for module in pkgutil.iter_modules(home.__path__ if self._each_module else ()):
            importlib.import_module(f"{self._home}.{module.name}")

    @property
    def _all(self) -> dict:
        self._load()
        return dict(sorted(self._parts.items(), key=lambda item: getattr(item[1], "order", 0)))

    def __getitem__(self, name: str) -> typing.Any:
        """The part; a KeyError says what there is."""
        try:
            group = self._group(name)
            return (self._all if group is None else group)[name]
        except KeyError:
            raise KeyError(f"{name!r} is no {self.kind}: there are {', '.join(self.near(name))}") from None

    def __iter__(self) -> Iterator[str]:
        """The names, the program's own first."""
        return iter(self._all)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all)


CRITERIA = Registry("criterion", "tf_tickets.pruning.criteria")
CONTROLS = Registry("control", "tf_tickets.pruning.strategies")
STARTS = Registry("kind of rewinding", "tf_tickets.pruning.starts")
NETWORKS = Registry("network", "tf_tickets.models.families")
DATASETS = Registry("data set", "tf_tickets.data")
OPERATIONS = Registry("augmentation", "tf_tickets.augment")
EVALUATORS = Registry("evaluator", "tf_tickets.evaluation.evaluators", each_module=True)
ANALYSES = Registry("analysis", "tf_tickets.analysis.analyses", each_module=True)
COMMANDS = Registry("command", "tf_tickets.commands", each_module=True)


TABLES = (CRITERIA, CONTROLS, STARTS, NETWORKS, DATASETS, OPERATIONS, EVALUATORS, ANALYSES, COMMANDS)


def measured_by(row_name: str) -> typing.Any:
    """The evaluator or analysis whose rows have a name, with or without `,images=N`; None where none is registered."""
    name = row_name.partition(",images=")[0]
    named = (evaluator for evaluator in EVALUATORS.values() if name in evaluator.row_names)
    return EVALUATORS.get(name) or ANALYSES.get(name) or next(named, None)
