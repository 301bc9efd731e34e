"""How a run's workers come together; on one machine, with nobody to meet, nothing happens."""

import contextlib
import os
import typing
from collections.abc import Callable, Iterator

from tf_tickets import plugins, storage
from tf_tickets.errors import UsageError
from tf_tickets.settings import places
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import Run
from tf_tickets.workers import meeting, messages, tf_config
from tf_tickets.workers.team import ALONE, Alone, Team, meet

if typing.TYPE_CHECKING:
    from tf_tickets.backend import Devices

# What every machine may have its own of.
_OWN = (*places.FLAGS, "out", "progress", "tensorboard", "profile_steps", "allow_other_environment", "dry_run")


@contextlib.contextmanager
def joined(config: Config, command: str, stop: Callable[[], bool] = lambda: False) -> Iterator[Alone]:
    """The team of a run, for as long as the context lasts; without strategy=multi_worker a team of one.

    Args:
      command: imp or train.
      stop: asked while waiting for the others.

    Raises:
      UsageError: TF_CONFIG is wrong, a worker does not come, or wants something else than the chief.
      StopRequested: `stop()` said so.
    """
    if config.run.strategy != "multi_worker":
        yield ALONE
        return
    cluster = tf_config.read(os.environ)
    settings = {"command": command} | {
        f"--{name}": str(value) for name, value in config.values().items() if name not in _OWN
    }
    with meet(cluster, settings, stop) as team:
        if team.chief:
            storage.check_writable(config.run.out)
        yield team


def agreed(stop: Callable[[], bool], team: Alone) -> Callable[[], bool]:
    """`stop`, to which all workers give the same answer: yes, if one of them was asked to."""
    return lambda: team.any(stop())


def devices_of(run: Run, team: Alone, batch_size: int | None = None) -> "Devices":
    """The backend.Devices of a config.Run on this worker, for training steps of so many images.

    Raises:
      UsageError: the workers' devices do not fit together.
    """
    from tf_tickets import backend

    devices = backend.start(run, team.cluster, batch_size=batch_size)
    if isinstance(team, Team):
        team.gather(None)  # from here on everybody's port is open
        meeting.check_reachable(team.cluster, team.stop)
    own = {"devices": devices.description, "versions": backend.versions() | plugins.versions(run.plugins)}
    for name in own["versions"]:
        team.check_same(own["versions"][name], f"has another {name} than the chief: install the same", UsageError)
    team.check_same(own["devices"], f"has other devices than the chief's {own['devices']}", UsageError)
    return devices


def are_rounds(value: object, count: float) -> bool:
    """Whether a JSON value is a list of rounds, of `count` that there are."""
    return isinstance(value, list) and all(messages.is_whole(index, high=count) for index in value)
