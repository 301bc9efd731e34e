"""Parts of the reference as Markdown, from the program: commands, flags, recipes, docstrings of what is public."""

import pathlib
import re

from tf_tickets.registry import COMMANDS
from tf_tickets.settings import config
from tf_tickets.settings.commands import heeded
from tf_tickets.settings.options import Option

_MARKER = re.compile(r"<!-- from the program: (\w+) -->(?:.*<!-- end -->)?", re.DOTALL)
FLAGS = pathlib.Path(__file__).parent.parent / "flags"
PROGRAM = "python -m tf_tickets.main"

# What programs use, with the methods that are theirs to call; a module has its functions.
FUNCTIONS = (
    "library.advise", "imp", "train", "pretrain", "evaluate", "predict", "library.export", "library.report",
    "data.from_arrays", "data.from_dataset",
    "data.from_dataframe", "augment.apply", "augment.mix", "augment.keys", "models.register_layer",
    "plugins.load", "runtime.load",
)  # fmt: skip
CLASSES = {
    "Config": "from_flagfile, from_values, unchecked, replace, values, digest",
    "Run": "table, plot, ticket, report",
    "Report": "",
    "advise.advising.Advice": "",
    "Ticket": "load, from_pytorch, save, predict",
    "Observer": "round_begins, training_begins, block_ends, epoch_ends, training_ends",
    "data.image_arrays.ImageArrays": "save",
    "data.table.PictureTable": "save",
    "runtime.Network": "predict",
    "errors.UsageError": "",
    "errors.StateError": "",
    "errors.LockedError": "",
    "errors.DivergedError": "",
    "errors.StopRequested": "",
    "errors.WorkerLost": "",
}


def filled(text: str) -> str:
    """A page with each comment `<!-- from the program: NAME -->` replaced by what the function NAME makes."""
    parts = {"commands": commands, "flags": flags, "recipes": recipes, "python": python}
    return _MARKER.sub(lambda match: parts[match[1]](), text)


def commands() -> str:
    """Each command: its line of `--help`, its examples, and the flags that it reads."""
    sections = ["## Each command"]
    for name, command in COMMANDS.items():
        own = [flag for flag in command.flags if config.options()[flag].group == "command"]
        also = [flag for flag in config.options() if flag in heeded(name) and flag not in own]
        lines = [f"{PROGRAM} {name} {example}" for example in command.examples]
        sections += [f"### {name}", f"{_prose(command.summary)}.", "\n".join(["```text", *lines, "```"])]
        sections += [f"Its own flags: {_listed(own)}."] if own else []
        sections += [f"It also reads {_listed(also)}."]
    return "\n\n".join(sections)


def flags() -> str:
    """Each flag with its default, choices and meaning, by groups."""
    sections = []
    for group, settings in config.GROUPS.items():
        sections += [f"## {str(settings.__doc__).rstrip('.')} ({group})"]
        sections += [_directive(name, option) for name, option in config.options().items() if option.group == group]
    return "\n\n".join(sections)


def recipes() -> str:
    """Each file of flags/ as it stands."""
    files = sorted(FLAGS.glob("*.cfg")) + sorted(FLAGS.glob("*.sweep"))
    return "\n\n".join(f"## {path.name}\n\n```text\n{path.read_text().strip()}\n```" for path in files)


def python() -> str:
    """Directives that draw the docstrings of what is public."""
    lines = ["## Functions", "```{eval-rst}"]
    lines += [f".. autofunction:: tf_tickets.{name}" for name in FUNCTIONS]
    lines += ["```", "## Classes", "```{eval-rst}"]
    for name, members in CLASSES.items():
        lines += [f".. autoclass:: tf_tickets.{name}", *([f"   :members: {members}"] if members else []), ""]
    return "\n".join([*lines, "```"])


def _directive(name: str, option: Option) -> str:
    default = "unset" if option.default is None else option.default
    lines = [f"{_prose(option.help)}."]
    lines += [f"One of {', '.join(f'`{choice}`' for choice in option.choices)}."] if option.choices else []
    lines += [f"Default: `{str(default).lower() if option.type is bool else default}`."]
    return "\n\n".join([f"```{{option}} --{name}", *lines, "```"])


def _listed(names: list[str]) -> str:
    return ", ".join(f"{{option}}`--{name}`" for name in names)


def _prose(text: str) -> str:
    """A sentence of `--help` as Markdown: flags as code, everything else as it stands."""
    escaped = re.sub(r"([\\`*_<>\[\]|#{}])", r"\\\1", text)
    return re.sub(r"--\w[\w\\]*(?:=[\w\\]+(?::\w+)*)?", lambda flag: f"`{flag[0]}`".replace("\\", ""), escaped)
