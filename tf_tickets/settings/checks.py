"""What a setting of text may be: each check says the problem with a value, or None."""

import math
import re

from tf_tickets.registry import ANALYSES, DATASETS, EVALUATORS, NETWORKS, STARTS


def integer(text: str) -> int | None:
    """The number that plain digits write; None for signs, spaces and leading zeros, so a setting has one spelling."""
    return int(text) if re.fullmatch("0|[1-9][0-9]{0,17}", text) else None


def check_folder(text: str) -> str | None:
    """The problem with a folder that has to be one of this machine's file system, or None."""
    scheme, separator, _ = text.partition("://")
    if not separator:
        return None
    return (
        f"is no folder: locks, renames and hashed files need a POSIX file system, which {scheme}:// is not; give a "
        "folder, and copy to or from the bucket"
    )


def check_subset_seed(text: str) -> str | None:
    """The problem with a `subset_seed`, or None."""
    if text == "original" or integer(text) is not None:
        return None
    return "is neither a number of at least 0 nor 'original'"


def check_validation(text: str) -> str | None:
    """The problem with a `validation` value, or None."""
    if text == "official":
        return None
    if text.startswith("fold:"):
        index, _, count = text[5:].partition("/")
        index, count = integer(index), integer(count)
        if index is None or count is None or count < 2 or index >= count:
            return "is not fold:I/K with 0 <= I < K and K >= 2"
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return None if 0.0 < value < 1.0 else "is not a fraction in (0, 1), fold:I/K or official"


def folds_of(text: str) -> int | None:
    """The K of `folds:K`, else None."""
    return integer(text[6:]) if text.startswith("folds:") else None


def check_rule(text: str) -> str | None:
    """The problem with a `rule`, or None."""
    return (
        None
        if text == "weight_norm" or (folds_of(text) or 0) >= 2
        else "is neither folds:K with K >= 2 nor weight_norm"
    )


def check_calibration(text: str) -> str | None:
    """The problem with a `calibration`, or None."""
    if text in ("none", "validation") or 2 <= (folds_of(text) or 0) <= 100:
        return None
    return "is not none, validation or folds:K with K from 2 to 100"


def check_choose(text: str) -> str | None:
    """The problem with a `choose` value, or None."""
    if text in ("validation", "last") or integer(text) is not None:
        return None
    return "is not validation, last or the number of a round"


def _rises(before, parts):
    """Whether all parts are whole numbers, each above the one before it."""
    numbers = [number for number in map(integer, parts) if number is not None]
    return len(numbers) == len(parts) and all(a < b for a, b in zip([before, *numbers], numbers))


def check_full_rounds(text: str) -> str | None:
    """The problem with a list of rounds, or None."""
    parts = text.split(",")
    if parts.count("last") > 1 or not _rises(-1, [part for part in parts if part != "last"]):
        return "is not a rising list of rounds such as 0,5,last"
    return None


def check_evaluators(text: str) -> str | None:
    """The problem with a list of evaluators, or None."""
    chosen = text.split(",")
    if set(chosen) - set(EVALUATORS) or len(set(chosen)) < len(chosen):
        return f"is not a list of {', '.join(EVALUATORS)}, each at most once"
    return None


def sheets() -> list[str]:
    """The values of `what` that stand alone, take no path and draw a sheet."""
    return [name for name, analysis in ANALYSES.items() if analysis.sheet is not None]


def studies() -> list[str]:
    """The values of `what` that may be listed, and measure networks."""
    return [name for name, analysis in ANALYSES.items() if analysis.sheet is None]


def check_what(text: str) -> str | None:
    """The problem with a list of analyses, or None; a sheet stands alone."""
    chosen = text.split(",")
    if text in sheets() or (set(chosen) <= set(studies()) and len(set(chosen)) == len(chosen)):
        return None
    return f"is not a list of {', '.join(studies())}, each at most once, nor {' or '.join(sheets())} alone"


EXPORTS = ("ticket", "runtime", "tflite", "tflite_float16", "tflite_int8", "onnx", "onnx_int8", "c", "c_int8")
ANSWERS = ("table", "json", "csv")
# So many weights as text, 60 MB, take a C compiler half a minute and a gigabyte.
MOST_IN_C = 1 << 22


def check_format(text: str) -> str | None:
    """The problem with what export writes, or predict prints, or None."""
    chosen = text.split(",")
    if text in ANSWERS or (set(chosen) <= set(EXPORTS) and len(set(chosen)) == len(chosen)):
        return None
    known = f"{', '.join(EXPORTS)} (export), each at most once, nor one of {', '.join(ANSWERS)} (predict)"
    return f"is not a list of {known}"


def check_gpus(value: float) -> str | None:
    """The problem with a number of GPUs, or None."""
    if 0 <= value <= 1 or (value > 1 and value == int(value)):
        return None
    return "is neither a part of one GPU, such as 0.25, nor a whole number"


def check_milestones(text: str) -> str | None:
    """The problem with a list of milestones, or None."""
    if not _rises(0, text.split(",")):
        return "is not a rising list of epochs such as 100,150"
    return None


def check_strategy(text: str) -> str | None:
    """The problem with a `strategy`, or None."""
    kind, _, count = text.partition(":")
    if text in ("auto", "one_device", "mirrored", "multi_worker") or (kind == "cpu" and (integer(count) or 0) >= 2):
        return None
    return "is not auto, one_device, mirrored (all GPUs), multi_worker (TF_CONFIG) or cpu:N with N >= 2 logical devices"


def check_profile_steps(text: str) -> str | None:
    """The problem with a range of steps, or None."""
    first, _, last = text.partition(":")
    if integer(first) is None or integer(last) is None or int(first) >= int(last):
        return "is not FIRST:LAST with 0 <= FIRST < LAST"
    return None


def check_probe(text: str) -> str | None:
    """The problem with a list of data sets to probe, or None."""
    known, chosen = [name for name, provider in DATASETS.items() if not provider.place_flags], text.split(",")
    if set(chosen) <= set(known) and len(set(chosen)) == len(chosen):
        return None
    return f"is not a list of {', '.join(known)}, each at most once"


def check_rewind(text: str) -> str | None:
    """The problem with a `rewind` value, or None."""
    kind, colon, amount = text.partition(":")
    start = STARTS.get(kind)
    if start is not None and not colon and start.usual is not None:
        return None
    least = {"epochs": 0, "steps": 1}.get(start.counts) if start else None
    number = integer(amount)
    if least is not None and number is not None and number >= least:
        return None
    *names, last = [_spelled(name, start) for name, start in STARTS.items()]
    return f"is not {', '.join(names)} or {last}"


def _spelled(name, start):
    """How a kind of rewinding is written: `trained`, `epoch:K`, `finetune[:K]`."""
    if start.counts is None:
        return name
    amount = {"epochs": ":K", "steps": ":N"}[start.counts]
    return f"{name}{amount}" if start.usual is None else f"{name}[{amount}]"


def prunable_parts() -> dict[str, None]:
    """What of a network may be all that the ranking sees."""
    return dict.fromkeys(part for network in NETWORKS.values() for part in network.parts)


def check_address(text: str) -> str | None:
    """The problem with the address of a Ray cluster, or None."""
    host, _, port = text.rpartition(":")
    if text == "auto" or ("/" not in text and host and 1 <= (integer(port) or 0) <= 65535):
        return None
    return "is not HOST:PORT of the cluster's head, such as 10.0.0.1:6379, nor auto"


def rewind_parts(text: str) -> tuple[str, int]:
    """Splits a `rewind` value into (kind, amount); the amount of learning_rate and finetune defaults to epoch 2."""
    kind, _, amount = text.partition(":")
    return kind, int(amount) if amount else STARTS[kind].usual
