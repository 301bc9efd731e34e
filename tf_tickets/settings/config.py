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
from tf_tickets.registry import CONTROLS, DATASETS, NETWORKS, STARTS
from tf_tickets.settings import flagfiles
from tf_tickets.settings.groups import FULL_ROUNDS, Choice, Command, Data, Network, Pruning, Run, Training
from tf_tickets.settings.options import Option, accepted, checked

__all__ = ["GROUPS", "Config", "options", "rewind_parts"]

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


@dataclasses.dataclass(frozen=True)
class Config:
    """The whole resolved configuration of one run.

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

    @classmethod
    def from_values(cls, **values: typing.Any) -> "Config":
        """Builds a Config from flat values; raises UsageError for an unknown name, a bad value or a conflict."""
        config = cls.unchecked(**values)
        _check_conflicts(config)
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
        """Reads a flagfile (and those it nests); keyword arguments win over its lines. Its plugins must be loaded."""
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
        return {"width": NETWORKS[self.network.model].default_width, "augment": "base", "full_rounds": FULL_ROUNDS}

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
        return self.choice.choose or ("validation" if self.data.validation else "last")

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


def rewind_parts(text: str) -> tuple[str, int]:
    """Splits a `rewind` value into (kind, amount); the amount of learning_rate and finetune defaults to epoch 2."""
    kind, _, amount = text.partition(":")
    return kind, int(amount) if amount else STARTS[kind].usual


def _search_rules(config):
    """(broken, message) of the settings that shorten rounds."""
    training, pruning, epochs = config.training, config.pruning, config.pruning.search_epochs
    kind, amount = rewind_parts(pruning.rewind)
    choose, full = config.choose, sorted(pruning.in_full)
    flag = "--search_epochs" if epochs is not None else "--mask_distance"
    return [
        (epochs is not None and epochs >= training.epochs,
         f"--search_epochs={epochs} must be below --epochs={training.epochs}"),
        (epochs is not None and STARTS[kind].counts == "epochs" and amount >= epochs,
         f"--rewind={pruning.rewind} must lie before the last epoch of a short round: --search_epochs={epochs}"),
        (not pruning.searches and pruning.full_rounds is not None,
         f"--full_rounds={pruning.full_rounds} needs --search_epochs or --mask_distance: without, all rounds are full"),
        (pruning.mask_distance is None and pruning.mask_patience != Pruning().mask_patience,
         f"--mask_patience={pruning.mask_patience} needs --mask_distance, such as --mask_distance=0.05"),
        (pruning.searches and full[-1] >= pruning.rounds,
         f"--full_rounds={pruning.full_rounds}: {full[-1]} is not a round of --rounds={pruning.rounds}"),
        (pruning.searches and choose == "validation",
         f"--choose=validation compares all rounds, which {flag} makes unlike: add --choose=last or a full round"),
        (pruning.searches and choose == "last" and pruning.rounds - 1 not in full,
         f"--full_rounds={pruning.full_rounds} leaves the last round short, which becomes the ticket: add last"),
        (pruning.searches and choose.isdigit() and int(choose) not in full,
         f"--choose={choose} is not trained in full: add it to --full_rounds"),
        (pruning.searches and config.run.accounting == "release",
         f"--accounting=release trains every round in full: {flag} conflicts"),
    ]  # fmt: skip


def _models_with(part):
    return " or ".join(name for name, entry in NETWORKS.items() if part in entry.parts)


def _check_conflicts(config):
    data, training, pruning, run = config.data, config.training, config.pruning, config.run
    sizes = [name for name in ("fraction", "per_class", "images", "subset_file") if getattr(data, name) is not None]
    kind, amount = rewind_parts(pruning.rewind)
    model, entry = config.network.model, NETWORKS[config.network.model]
    rules = [
        (len(sizes) > 1, f"{' and '.join('--' + s for s in sizes)} exclude each other: keep one"),
        (data.imbalance is not None and sizes,
         f"--imbalance and --{', '.join(sizes)} exclude each other: keep one"),
        (data.imbalance is None and data.imbalance_profile != Data().imbalance_profile,
         f"--imbalance_profile={data.imbalance_profile} needs --imbalance, such as --imbalance=0.01"),
        (data.subset_seed == "original" and data.validation and not data.validation.startswith(("fold:", "official")),
         "--subset_seed=original draws nothing: hold out with --validation=fold:I/K"),
        (training.schedule == "steps" and training.milestones is None,
         "--schedule=steps needs --milestones, such as --milestones=100,150"),
        (training.schedule != "steps" and training.milestones is not None,
         f"--milestones belongs to --schedule=steps, not {training.schedule}"),
        (training.warmup >= training.epochs,
         f"--warmup={training.warmup} must be below --epochs={training.epochs}"),
        (STARTS[kind].counts == "epochs" and amount >= training.epochs,
         f"--rewind={pruning.rewind} must lie before the last epoch: --epochs={training.epochs}"),
        (pruning.finetune_learning_rate is not None and not STARTS[kind].constant_rate,
         f"--finetune_learning_rate belongs to --rewind=finetune, not {pruning.rewind}"),
        *_search_rules(config),
        *CONTROLS[pruning.control].conflicts(config),
        (config.choice.choose == "validation" and data.validation is None,
         "--choose=validation needs --validation, such as --validation=0.2"),
        (config.choice.choose is not None and config.choice.choose.isdigit()
         and int(config.choice.choose) >= pruning.rounds,
         f"--choose={config.choice.choose} is not a round of --rounds={pruning.rounds}"),
        (run.jit and (run.strategy in ("mirrored", "multi_worker") or run.strategy.startswith("cpu:")),
         f"--jit works on one device only, not with --strategy={run.strategy}: XLA cannot compile the mirrored step"),
        (run.jit and run.precision == "mixed_float16",
         "--jit and --precision=mixed_float16 exclude each other: the loss scale changes outside the compiled step; "
         "use mixed_bfloat16"),
        (run.accounting == "release" and not (kind == "epoch" and run.eval_every == 1),
         "--accounting=release rewinds to an epoch and looks at every epoch: set --rewind=epoch:K and --eval_every=1"),
        (STARTS[kind].of_backbone and config.network.pretrained is None,
         f"--rewind={pruning.rewind} needs --pretrained=FILE"),
        (config.network.head != "tvmf" and config.network.kappa != Network().kappa,
         f"--kappa belongs to --head=tvmf, not {config.network.head}"),
        (training.adversarial and DATASETS[data.dataset].dtype != "uint8",
         f"--adversarial attacks pixels of 8 bits, which --dataset={data.dataset} has not"),
        (data.validation == "official" and data.imbalance is not None,
         "--validation=official and --imbalance exclude each other: hold out with --validation=0.2"),
        (training.batch_norm != "per_replica" and not entry.normalises,
         f"--batch_norm belongs to networks with batch normalisation, which --model={model} has none of"),
        (training.adversarial and not entry.normalises,
         f"--adversarial needs batch normalisation, which --model={model} has none of"),
        (pruning.prunable not in entry.parts,
         f"--prunable={pruning.prunable} belongs to --model={_models_with(pruning.prunable)}, not {model}"),
        (training.optimizer == "adam" and training.momentum != Training().momentum,
         "--momentum belongs to --optimizer=sgd, not adam"),
    ]  # fmt: skip
    for broken, message in rules:
        if broken:
            raise UsageError(message)
