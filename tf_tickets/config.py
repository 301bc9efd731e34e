"""Every setting, said once: a field of a frozen dataclass is a flag with a type, a default, choices and help.

Library code takes a `Config`; only `main` sees flags. This module imports no TensorFlow, so `--help`, `--dry_run` and
every flag error answer at once.
"""

import dataclasses
import difflib
import functools
import hashlib
import math
import numbers
import re
import typing

from tf_tickets import flagfiles
from tf_tickets.errors import UsageError

COMMANDS = ("imp", "train", "report", "verify", "prepare")
DATASETS = ("cifar10", "cifar100", "digits")
MODELS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


def _option(default, text, *, choices=None, low=None, high=None, above=None, check=None, digest=True):
    """A field that is a flag; `low`/`high` are inclusive bounds, `above` an exclusive one, `check(text) -> problem`."""
    return dataclasses.field(
        default=default,
        metadata={
            "help": text, "choices": choices, "low": low, "high": high, "above": above, "check": check,
            "digest": digest,
        },
    )  # fmt: skip


def _integer(text):
    """The number that plain digits write; None for signs, spaces and leading zeros, so a setting has one spelling."""
    return int(text) if re.fullmatch("0|[1-9][0-9]{0,17}", text) else None


def _check_rewind(text):
    kind, _, amount = text.partition(":")
    if text in ("init", "learning_rate", "finetune"):
        return None
    if kind == "step" and (_integer(amount) or 0) >= 1:
        return None
    if kind in ("epoch", "learning_rate", "finetune") and _integer(amount) is not None:
        return None
    return "is not init, epoch:K, step:N, learning_rate[:K] or finetune[:K]"


def _check_subset_seed(text):
    if text == "original" or _integer(text) is not None:
        return None
    return "is neither a number of at least 0 nor 'original'"


def _check_validation(text):
    if text.startswith("fold:"):
        index, _, count = text[5:].partition("/")
        index, count = _integer(index), _integer(count)
        if index is None or count is None or count < 2 or index >= count:
            return "is not fold:I/K with 0 <= I < K and K >= 2"
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return None if 0.0 < value < 1.0 else "is neither a fraction in (0, 1) nor fold:I/K"


def _check_choose(text):
    if text in ("validation", "last") or _integer(text) is not None:
        return None
    return "is not validation, last or the number of a round"


def _check_milestones(text):
    numbers = [_integer(part) for part in text.split(",")]
    if None in numbers or any(b <= a for a, b in zip([0, *numbers], numbers)):
        return "is not a rising list of epochs such as 100,150"
    return None


def _check_strategy(text):
    kind, _, count = text.partition(":")
    if text in ("auto", "one_device", "mirrored") or (kind == "cpu" and (_integer(count) or 0) >= 2):
        return None
    return "is not auto, one_device, mirrored (all GPUs) or cpu:N with N >= 2 logical devices"


def _check_profile_steps(text):
    first, _, last = text.partition(":")
    if _integer(first) is None or _integer(last) is None or int(first) >= int(last):
        return "is not FIRST:LAST with 0 <= FIRST < LAST"
    return None


@dataclasses.dataclass(frozen=True)
class Data:
    """Which images, and what is done to them."""

    dataset: str = _option("cifar10", "data set", choices=DATASETS)
    data_dir: str | None = _option(
        None, "folder of prepared data sets; unset: TFDS_DATA_DIR, else TFDS' own default", digest=False
    )
    fraction: float | None = _option(
        None, "share of each class's training images in use, stratified; unset: all", above=0.0, high=1.0
    )
    per_class: int | None = _option(None, "training images in use per class", low=1)
    images: int | None = _option(None, "total training images in use, stratified", low=1)
    subset_seed: str = _option(
        "0", "draws the subset and the validation split; 'original' takes the first images of each class",
        check=_check_subset_seed, digest=False,
    )  # fmt: skip
    subset_file: str | None = _option(None, "text file of training image ids in use, one a line")
    validation: str | None = _option(
        None, "part of the subset held out: a fraction, or fold:I/K", check=_check_validation
    )
    imbalance: float | None = _option(
        None, "long tail: images of the rarest class over those of the most frequent", above=0.0, high=1.0
    )
    imbalance_profile: str = _option("exp", "how the long tail falls off", choices=("exp", "step"))
    augment: str = _option("base", "augmentation policy", choices=("none", "base"))
    batch_size: int = _option(100, "images per step over all devices", low=1)


@dataclasses.dataclass(frozen=True)
class Network:
    """Which network."""

    model: str = _option("resnet18", "network", choices=MODELS)
    width: int = _option(64, "channels of the first stage", low=1, high=4096)
    stem: str = _option(
        "auto", "small: one 3x3 convolution; full: 7x7 and max-pooling; auto: the data set's",
        choices=("auto", "small", "full"),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Training:
    """How each round is trained."""

    epochs: int = _option(200, "epochs of a dense round", low=1)
    optimizer: str = _option("sgd", "optimizer, with PyTorch's update rule", choices=("sgd", "adam"))
    learning_rate: float = _option(0.1, "learning rate before the schedule", above=0.0)
    momentum: float = _option(0.9, "momentum of sgd", low=0.0, high=0.999999)
    weight_decay: float = _option(5e-4, "coupled weight decay on every trainable variable", low=0.0)
    schedule: str = _option("cosine", "learning rate over the epochs", choices=("cosine", "steps", "constant"))
    milestones: str | None = _option(
        None, "epochs at which schedule=steps divides by ten, such as 100,150", check=_check_milestones
    )
    warmup: int = _option(0, "epochs of linear warm-up", low=0)


@dataclasses.dataclass(frozen=True)
class Pruning:
    """What is removed after each round, and where the rest goes back to."""

    rounds: int = _option(16, "rounds, the dense round 0 included", low=1, high=1000, digest=False)
    rate: float = _option(0.2, "share of the remaining weights removed after each round", above=0.0, high=0.999)
    rewind: str = _option(
        "epoch:2", "where later rounds start: init, epoch:K, step:N, learning_rate[:K], finetune[:K]",
        check=_check_rewind,
    )  # fmt: skip
    criterion: str = _option("magnitude", "score by which weights are ranked", choices=("magnitude",))
    scope: str = _option("global", "rank all weights together, or inside each layer", choices=("global", "layer"))
    min_per_layer: int = _option(0, "weights that every layer keeps at least", low=0)
    control: str = _option("none", "random: remove the same number of weights at random", choices=("none", "random"))
    ticket: str | None = _option(None, "with train: a ticket or round folder to retrain")
    finetune_learning_rate: float | None = _option(
        None, "constant learning rate of rewind=finetune; unset: learning_rate/100", above=0.0
    )


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which round becomes the ticket."""

    choose: str | None = _option(
        None, "validation, last, or a round; unset: validation where there is a split, else last",
        check=_check_choose, digest=False,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Run:
    """Seeds, folders and machinery."""

    seed: int = _option(0, "initial weights and random masks", low=0, digest=False)
    order_seed: int | None = _option(
        None, "order of the images and augmentation; unset: seed", low=0, digest=False
    )
    out: str = _option("runs", "folder of all runs", digest=False)
    deterministic: bool = _option(True, "same seeds on the same machine give the same bits")
    precision: str = _option(
        "float32", "arithmetic of the network", choices=("float32", "mixed_bfloat16", "mixed_float16")
    )
    strategy: str = _option(
        "auto", "auto, one_device, mirrored (all GPUs) or cpu:N logical devices", check=_check_strategy, digest=False
    )
    jit: bool = _option(False, "compile the training step with XLA (one device only)")
    eval_every: int | None = _option(
        None, "evaluate every N epochs and after the last; unset: the middle and the last epoch", low=1, digest=False
    )
    tensorboard: bool = _option(True, "write TensorBoard scalars and hyper-parameters", digest=False)
    profile_steps: str | None = _option(
        None, "FIRST:LAST, steps of this process's first round to profile", check=_check_profile_steps, digest=False
    )
    progress: str = _option(
        "auto", "line: one live line; log: plain lines; auto: line on a terminal",
        choices=("auto", "line", "log", "none"), digest=False,
    )  # fmt: skip
    dry_run: bool = _option(False, "print the resolved plan and touch nothing", digest=False)


@dataclasses.dataclass(frozen=True)
class Command:
    """Inputs of single commands."""

    archive: str | None = _option(None, "with prepare: the archive to read", digest=False)


GROUPS = {
    "data": Data, "network": Network, "training": Training, "pruning": Pruning, "choice": Choice, "run": Run,
    "command": Command,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Option:
    """One field as a flag: its name, group, type and metadata."""

    name: str
    group: str
    type: type
    optional: bool
    default: object
    metadata: typing.Mapping

    def parse(self, text):
        """Text to a checked value; raises ValueError with the problem, without the flag's name."""
        if self.type is bool:
            if text.lower() not in ("true", "false", "1", "0"):
                raise ValueError("is not true or false")
            return text.lower() in ("true", "1")
        try:
            # int and float also read 1_000 and other scripts' digits, which are more likely slips.
            value = self.type(text if self.type is str or (text.isascii() and "_" not in text) else "")
        except ValueError:
            raise ValueError(f"is not {'a whole number' if self.type is int else 'a number'}") from None
        return self.check(value)

    def check(self, value):
        """Returns `value` if it is in range and among the choices, else raises ValueError with the problem."""
        limits = self.metadata
        if self.type is float:
            value = float(value)
            if not math.isfinite(value):
                raise ValueError("is not a finite number")
        if limits["choices"] and value not in limits["choices"]:
            close = difflib.get_close_matches(str(value), limits["choices"], 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"is not one of {', '.join(limits['choices'])}{hint}")
        if limits["low"] is not None and value < limits["low"]:
            raise ValueError(f"is below {limits['low']}")
        if limits["above"] is not None and value <= limits["above"]:
            raise ValueError(f"is not above {limits['above']:g}")
        if limits["high"] is not None and value > limits["high"]:
            raise ValueError(f"is above {limits['high']:g}")
        problem = _check_text(value) if self.type is str else None
        problem = problem or (limits["check"](value) if limits["check"] else None)
        if problem:
            raise ValueError(problem)
        return value

    def format(self, value):
        """The value as one flagfile line; `parse` reads it back exactly."""
        if self.type is bool:
            return f"--{self.name}" if value else f"--no{self.name}"
        return f"--{self.name}={value!r}" if self.type is float else f"--{self.name}={value}"


def _check_text(text):
    """What a flagfile line could not carry there and back."""
    if not text:
        return "is empty"
    if text != text.strip():
        return "begins or ends with a space"
    if len(text.splitlines()) != 1 or "\x00" in text:
        return "holds a line break"
    if not text.isascii() and text != text.encode("utf-8", "ignore").decode("utf-8"):
        return "is not UTF-8 text"
    return None


@functools.cache
def options():
    """All options by name, in the order in which they are declared."""
    found = {}
    for group, cls in GROUPS.items():
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            kinds = [kind for kind in typing.get_args(hints[field.name]) or (hints[field.name],)]
            kind = next(k for k in kinds if k is not type(None))
            found[field.name] = Option(
                field.name, group, kind, type(None) in kinds, field.default, field.metadata
            )
    return found


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
    def from_values(cls, **values):
        """Builds a Config from flat values; raises UsageError for an unknown name, a bad value or a conflict."""
        groups = {group: {} for group in GROUPS}
        for name, value in values.items():
            if name not in options():
                close = difflib.get_close_matches(name, options(), 1)
                raise UsageError(f"--{name} is no flag{f'; did you mean --{close[0]}?' if close else ''}")
            option = options()[name]
            if value is None and not option.optional:
                raise UsageError(f"--{name}: needs a value")
            if value is not None:
                try:
                    value = option.parse(value) if isinstance(value, str) else _checked(option, value)
                except ValueError as error:
                    raise UsageError(f"--{name}={value} {error}") from None
            groups[option.group][name] = value
        config = cls(**{group: GROUPS[group](**chosen) for group, chosen in groups.items()})
        _check_conflicts(config)
        return config

    @classmethod
    def from_flagfile(cls, path, **overrides):
        """Reads a flagfile (and those it nests); keyword arguments win over its lines."""
        values = {}
        for token in flagfiles.expand([f"--flagfile={path}"]):
            option, value = flagfiles.split_assignment(token, options())
            values[option.name] = flagfiles.parse_value(option, value, token)
        return cls.from_values(**{**values, **overrides})

    def values(self):
        """All settings as one flat dict, in declared order."""
        return {name: getattr(getattr(self, option.group), name) for name, option in options().items()}

    def replace(self, **changes):
        """A copy with some settings changed, checked again."""
        return Config.from_values(**{**self.values(), **changes})

    @property
    def order_seed(self):
        """The seed of order and augmentation, which defaults to the seed."""
        return self.run.seed if self.run.order_seed is None else self.run.order_seed

    @property
    def choose(self):
        """The rule that chooses the ticket's round, with its default resolved."""
        return self.choice.choose or ("validation" if self.data.validation else "last")

    def flagfile(self, command="imp"):
        """The text of a flagfile that repeats this run."""
        lines = [f"# python -m tf_tickets.main {command} --flagfile=THIS_FILE"]
        for name, option in options().items():
            value = getattr(getattr(self, option.group), name)
            if value is not None and option.group != "command" and name != "dry_run":
                lines.append(option.format(value))
        return "\n".join(lines) + "\n"

    def digest(self, command="imp", content=()):
        """Eight hex digits over the settings that change the numbers.

        Args:
          command: `imp` or `train`; the two never share a folder.
          content: (name, hash) pairs that stand in for paths, such as the ticket's content digest.
        """
        content = dict(content)
        lines = [f"command={command}"] + [f"{name}:{value}" for name, value in sorted(content.items())]
        chooses = self.data.validation is not None
        for name, option in sorted(options().items()):
            counts = option.metadata["digest"] or (name == "eval_every" and chooses)
            value = getattr(getattr(self, option.group), name)
            if counts and name not in content and value != option.default:
                lines.append(option.format(value))
        return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()[:8]


def _checked(option, value):
    if option.type is bool:
        if not isinstance(value, bool):
            raise ValueError("is not True or False")
        return value
    # numpy's numbers are numbers too, and a number stands for its text where text is wanted: subset_seed=3.
    wanted = numbers.Integral if option.type is int else numbers.Real
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise ValueError(f"is not {'a whole number' if option.type is int else 'a number'}")
    value = int(value) if isinstance(value, numbers.Integral) else float(value)
    return option.check(str(value) if option.type is str else value)


def rewind_parts(text):
    """Splits a `rewind` value into (kind, amount); the amount of learning_rate and finetune defaults to epoch 2."""
    kind, _, amount = text.partition(":")
    return kind, int(amount) if amount else (0 if kind == "init" else 2)


def _check_conflicts(config):
    data, training, pruning, run = config.data, config.training, config.pruning, config.run
    sizes = [name for name in ("fraction", "per_class", "images", "subset_file") if getattr(data, name) is not None]
    kind, amount = rewind_parts(pruning.rewind)
    rules = [
        (len(sizes) > 1, f"{' and '.join('--' + s for s in sizes)} exclude each other: keep one"),
        (data.imbalance is not None and sizes,
         f"--imbalance and --{sizes[0] if sizes else ''} exclude each other: keep one"),
        (data.imbalance is None and data.imbalance_profile != Data().imbalance_profile,
         f"--imbalance_profile={data.imbalance_profile} needs --imbalance, such as --imbalance=0.01"),
        (data.subset_seed == "original" and data.validation and not data.validation.startswith("fold:"),
         "--subset_seed=original draws nothing: hold out with --validation=fold:I/K"),
        (training.schedule == "steps" and training.milestones is None,
         "--schedule=steps needs --milestones, such as --milestones=100,150"),
        (training.schedule != "steps" and training.milestones is not None,
         f"--milestones belongs to --schedule=steps, not {training.schedule}"),
        (training.warmup >= training.epochs,
         f"--warmup={training.warmup} must be below --epochs={training.epochs}"),
        (kind in ("epoch", "learning_rate", "finetune") and amount >= training.epochs,
         f"--rewind={pruning.rewind} must lie before the last epoch: --epochs={training.epochs}"),
        (pruning.finetune_learning_rate is not None and kind != "finetune",
         f"--finetune_learning_rate belongs to --rewind=finetune, not {pruning.rewind}"),
        (pruning.control == "random" and pruning.scope == "layer",
         "--control=random ranks all weights together: --scope=layer conflicts"),
        (config.choice.choose == "validation" and data.validation is None,
         "--choose=validation needs --validation, such as --validation=0.2"),
        (config.choice.choose is not None and config.choice.choose.isdigit()
         and int(config.choice.choose) >= pruning.rounds,
         f"--choose={config.choice.choose} is not a round of --rounds={pruning.rounds}"),
        (run.jit and (run.strategy == "mirrored" or run.strategy.startswith("cpu:")),
         f"--jit works on one device only, not with --strategy={run.strategy}: XLA cannot compile the mirrored step"),
        (run.jit and run.precision == "mixed_float16",
         "--jit and --precision=mixed_float16 exclude each other: the loss scale changes outside the compiled step; "
         "use mixed_bfloat16"),
        (training.optimizer == "adam" and training.momentum != Training().momentum,
         "--momentum belongs to --optimizer=sgd, not adam"),
    ]  # fmt: skip
    for broken, message in rules:
        if broken:
            raise UsageError(message)
