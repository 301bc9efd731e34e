"""What `--help=WORD` answers where the word is no command, group or flag: values of flags, subjects, near names."""

import difflib
import re
import typing
from collections.abc import Iterable, Iterator

from tf_tickets.registry import ANALYSES, CONTROLS, CRITERIA, DATASETS, EVALUATORS, NETWORKS, OPERATIONS, STARTS
from tf_tickets.settings import config as configs
from tf_tickets.settings import policies

# How alike two names are at least, so that the one is offered for the other: evalute, but not restarts for resume.
_ALIKE = 0.75
# Flags that are named at most, whose help has a word in it.
_MOST_FLAGS = 6
# Subjects that people look for by names that no flag has: those names, what there is to say, and the page.
_SUBJECTS = (
    (
        ("resume", "continue", "restart", "checkpoint", "interrupt", "crash"),
        "give the same command again, and it goes on from the last checkpoint; no flag is needed", "reliability.md",
    ),
    (
        ("gpu", "cuda", "device", "multi_gpu", "tpu"),
        "GPUs that TensorFlow sees are used; --strategy is for several of them, --precision and --jit for speed",
        "reference/flags.md",
    ),
    (
        ("pictures", "photographs", "photos", "custom"),
        "own pictures are given as --dataset=folder --data_dir=DIR, one folder per class; advise DIR looks at them",
        "own_pictures.md",
    ),
    (("lr",), "the learning rate is --learning_rate, and --schedule how it falls", "reference/flags.md"),
    (
        ("sparsity", "density", "pruning"),
        "each round removes --rate of the weights left, those of the lowest --criterion; --rounds says how many rounds",
        "science.md",
    ),
    (
        ("fine_tuning", "transfer", "imagenet", "backbone"),
        "--pretrained=FILE, or imagenet, gives a network that has seen other data; "
        "--flagfile=my_images_pretrained.cfg is a recipe", "networks.md",
    ),
    (("plugin", "extension", "extending"), "--plugins=MODULE registers parts of your own", "extending.md"),
    (("seeds", "statistics", "pairs"), "sweep makes runs of several seeds, report compares them", "reading_results.md"),
    (("rivals", "baseline"), "--control and --rival train what a ticket is compared with", "rivals.md"),
    (("keras", "python", "api"), "Python programs import tf_tickets", "python.md"),
    (("quickstart", "tutorial"), "--flagfile=quickstart.cfg is the first run", "tutorial.ipynb"),
    (("files", "folders", "output"), "the files of a run", "reference/run_folder.md"),
)  # fmt: skip


def _values() -> Iterator[tuple[str, Iterable[str]]]:
    """Each flag with the names that its values are, or are made of."""
    of_tables = {
        "dataset": DATASETS, "model": NETWORKS, "criterion": CRITERIA, "control": CONTROLS, "rewind": STARTS,
        "augment": [*policies.SHORT_PRESETS, *OPERATIONS], "evaluators": EVALUATORS, "what": ANALYSES,
    }  # fmt: skip
    for name, option in configs.options().items():
        yield name, of_tables.get(name, option.choices)


def flags_of(word: str) -> list[str]:
    """The flags that a word is a value of, such as scope of erk."""
    return [] if word == "none" else [flag for flag, values in _values() if word in list(values)]


def sentence(word: str, flag: str) -> str:
    """What a value of a flag is, where the program has a sentence for it; else empty."""
    table: typing.Mapping = {"evaluators": EVALUATORS, "what": ANALYSES}.get(flag, {})
    return configs.options()[flag].explained.get(word) or getattr(table.get(word), "text", "")


def subject(word: str) -> str | None:
    """What there is to say of a subject, with its page; None where the word is none."""
    plain = _plain(word)
    return next((f"{text} (docs/{page})" for names, text, page in _SUBJECTS if plain in map(_plain, names)), None)


def near(word: str, known: Iterable[str]) -> str:
    """What a word that means nothing may have meant, as the end of a message.

    Args:
      word: that was asked for.
      known: names of commands, groups and the like, beside those of flags, of their values, and of subjects.
    """
    options = configs.options()
    names = dict.fromkeys([*known, *options])
    names |= dict.fromkeys(str(value) for _, values in _values() for value in values)
    names.pop("none", None)  # a value of several flags, of which none is meant
    names |= dict.fromkeys(name for subject_names, *_ in _SUBJECTS for name in subject_names)
    if close := difflib.get_close_matches(word, names, 1, _ALIKE):
        return f"did you mean --help={close[0]}?"
    if not word.isidentifier():
        return "give a command, a group, a flag or a value of one; --help lists commands and groups"
    spoken = re.compile(rf"\b{re.escape(word)}", re.IGNORECASE)
    flags = [f"--{name}" for name, option in options.items() if len(word) > 2 and spoken.search(option.help)]
    if flags:
        more = f" and {len(flags) - _MOST_FLAGS} more" if len(flags) > _MOST_FLAGS else ""
        return f"nothing has that name; the help of {', '.join(flags[:_MOST_FLAGS])}{more} has the word"
    return "nothing has that name; give a command, a group, a flag or a value of one; --help lists commands and groups"


def _plain(word):
    return word.lower().replace("-", "").replace("_", "").replace(" ", "")
