"""Values that are one of several kinds: names of data sets, kinds of rewinding."""

from tf_tickets.registry import DATASETS, NETWORKS, STARTS
from tf_tickets.settings.options import integer


def check_probe(text: str) -> str | None:
    """The problem with a list of data sets to probe, or None."""
    known, chosen = [name for name, provider in DATASETS.items() if not provider.of_folder], text.split(",")
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
