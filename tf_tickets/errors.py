"""What can go wrong, by exit status. Every message is one line for a person: what, where, how to fix."""

import re
import shlex

# Characters of a value that a message repeats, and of what a library says: some repeat kilobytes of a damaged file.
_SHOWN, _SAID = 100, 300
# What XML and HTML cannot hold: controls, halves of characters, and two that are none.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def plain(text: object) -> str:
    """The text as one plain line: line breaks and terminal codes, which words and file names can hold, are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def plain_xml(text: str) -> str:
    """Text in which characters that XML cannot hold are written out, by their codes."""
    return _NOT_XML.sub(lambda match: ascii(match[0])[1:-1], text)


def shown(value: object) -> str:
    """Any Python value as a piece of one line: text as it is, others as their start, whatever their repr does."""
    if isinstance(value, str):
        return plain(value)
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a repr is its owner's code; of a very long integer it is a ValueError
        text = f"<{type(value).__name__}>"
    return plain(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def install(extra: str) -> str:
    """The command that installs an extra's packages: by their names, since the program itself may be on no index."""
    from importlib import metadata  # which imports what reads mail

    try:
        wanted = metadata.requires("tf-tickets") or []
    except metadata.PackageNotFoundError:  # a clone that is not installed
        wanted = []
    marked = re.compile(rf"extra == ['\"]{extra}['\"]")
    packages = [text.partition(";")[0].strip() for text in wanted if marked.search(text)]
    return f"pip install {shlex.join(packages)}" if packages else f"pip install -e '.[{extra}]' in the program's folder"


def reason(error: BaseException | str) -> str:
    """What an exception says, as a piece of one line: the system's words alone; where it says nothing, its class."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    return text if len(text) <= _SAID else f"{text[:_SAID]}..."


class TicketError(Exception):
    """An expected failure; `exit_status` is the process's exit status."""

    exit_status = 1


class UsageError(TicketError):
    """A bad flag, flagfile or input. Nothing was created or changed."""

    exit_status = 2


class StateError(TicketError):
    """State on disk is damaged, has a wrong hash, or cannot be written."""

    exit_status = 3


class LockedError(TicketError):
    """The run folder is in use by another process."""

    exit_status = 4


class DivergedError(TicketError):
    """The training loss stopped being finite; complete rounds are kept."""

    exit_status = 5


class StopRequested(TicketError):
    """SIGTERM or SIGINT: the state is saved, the same command continues."""

    exit_status = 75


class WorkerLost(TicketError):
    """Another worker of the run died or cannot be reached: the same command on all workers continues."""

    exit_status = 75
