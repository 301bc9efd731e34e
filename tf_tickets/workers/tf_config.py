"""The machines of one run, as the environment variable TF_CONFIG lists them. No TensorFlow."""

import dataclasses
import json
import os
import stat
from collections.abc import Mapping

from tf_tickets.errors import UsageError, reason

# The environment variable that names a file with what all workers know and no stranger.
KEY_FILE = "TF_TICKETS_KEY_FILE"
_SHORTEST_KEY, _LONGEST_KEY = 16, 4096
_EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Who takes part.

    Attributes:
      addresses: tuple of "host:port", the chief's first.
      index: this process's place among them.
      key: bytes that a caller has to know; None: whoever reaches the chief's port may call.
    """

    addresses: tuple
    index: int
    key: bytes | None = dataclasses.field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Number of workers."""
        return len(self.addresses)

    def name(self, index: int) -> str:
        """A worker as messages call it."""
        return f"{'the chief' if index == 0 else f'worker {index}'} ({self.addresses[index]})"

    def place(self, index: int) -> tuple[str, int]:
        """(host, port) of a worker."""
        host, _, port = self.addresses[index].rpartition(":")
        return host.strip("[]"), int(port)


def read(environment: Mapping[str, str]) -> Cluster:
    """The Cluster of an environment's TF_CONFIG and TF_TICKETS_KEY_FILE.

    Args:
      environment: a mapping such as os.environ.

    Raises:
      UsageError: TF_CONFIG is missing, or says nothing that workers could meet by; the key file cannot be used.
    """
    text = environment.get("TF_CONFIG")
    if not text:
        raise UsageError(f"--strategy=multi_worker needs TF_CONFIG in the environment of every worker: {_EXAMPLE}")
    try:
        value = json.loads(text)
        lists, task = value["cluster"], value["task"]
        kind, index = task["type"], int(str(task["index"]))
        addresses = [address for job in ("chief", "worker") for address in _addresses(lists.get(job, []))]
        jobs = sorted(set(lists) - {"chief", "worker"})
        chiefs = len(lists.get("chief", []))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        words = " ".join(f"{type(error).__name__} {error}".split())
        raise UsageError(f"TF_CONFIG={text} cannot be read ({words}); it looks like {_EXAMPLE}") from None
    if jobs or kind not in ("chief", "worker"):
        raise UsageError(f"TF_CONFIG has a {(jobs or [kind])[0]}: only chief and worker take part; remove it")
    if chiefs > 1 or len(set(addresses)) != len(addresses):
        raise UsageError(f"TF_CONFIG lists {'two chiefs' if chiefs > 1 else 'an address twice'}: {text}")
    count = len(lists.get(kind, []))
    if not 0 <= index < count:
        raise UsageError(
            f"TF_CONFIG: task index {index} is not one of its {count} of type {kind}: give 0 to {max(count - 1, 0)}, "
            "another on every machine"
        )
    return Cluster(tuple(addresses), index + (chiefs if kind == "worker" else 0), _key(environment.get(KEY_FILE)))


def _key(path):
    if not path:
        return None
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UsageError(f"{KEY_FILE}={path} is not a regular file")
        with open(path, "rb") as file:
            key = file.read(_LONGEST_KEY + 1).strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{KEY_FILE}={path} cannot be read: {reason(error)}") from None
    if not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY:
        count = "too many" if len(key) > _LONGEST_KEY else len(key)
        raise UsageError(
            f"{KEY_FILE}={path} has {count} bytes: give {_SHORTEST_KEY} to {_LONGEST_KEY}, as `openssl rand -hex 32` "
            "makes them"
        )
    return key


def _addresses(listed):
    for address in listed:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"'{address}' is not host:port")
        host.encode("idna")  # a name that no system could look up is a ValueError
    return listed
