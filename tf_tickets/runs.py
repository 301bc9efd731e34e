"""A run folder: every file name, the lock, and what lies where."""

import contextlib
import dataclasses
import functools
import os
import socket
import time
from collections.abc import Iterable, Iterator

from tf_tickets import leftovers, locks, own_networks, storage
from tf_tickets.errors import StateError, UsageError
from tf_tickets.round_folders import RoundFolder
from tf_tickets.settings.config import Config

# Of pictures.csv: the user's own pictures as they were when the run began, in use or not.
PICTURE_COLUMNS = ("id", "part", "sha256")

# Of evaluations.csv: what was measured of one network.
EVALUATION_COLUMNS = ("run", "round", "density", "evaluator", "setting", "metric", "value", "n")

# Of <ticket>.exports.csv: what was measured of each file that `export` wrote of it.
EXPORT_COLUMNS = (
    "ticket", "format", "file", "bytes", "bytes_gzipped", "difference", "same_label", "ms_batch_1", "ms_batch_100",
    "threads", "images", "compared_on",
)  # fmt: skip

# The file that makes a folder a ticket.
DOCUMENT = "ticket.json"

# The folders, inside of a run's, of its chosen rounds on all images of the subset, and of its dense rival.
REFIT, RIVAL = "refit", "rival"


class RunFolder:
    """One run: `<out>/<dataset>-<model>-<digest8>/seed_<s>[-subset_<x>][-order_<y>]`, or one inside of such a folder.

    Inside are `refit`, the chosen rounds on all images of the subset, `rival`, a dense network trained as long as the
    rounds, and `refit/rival`, the same on all images.
    """

    def __init__(self, path, out=None):
        """`out`: the folder that the user named, where it is not the run's own: below it no link is followed."""
        self.folder, self._began, self._out = path, None, out

    @classmethod
    def of(cls, config: Config, command: str = "imp", content: Iterable[tuple] = ()) -> "RunFolder":
        """The folder that a configuration names."""
        for name, path in (("pretrained", config.network.backbone), ("subset_file", config.data.subset_file)):
            if path:
                content = [*content, (name, storage.file_digest(path))]
        name = f"{config.data.file_name}-{config.network.file_name}-{config.digest(command, content)}"
        seed = f"seed_{config.run.seed}"
        if config.data.subset_seed != "0":
            seed += f"-subset_{config.data.subset_seed}"
        if config.order_seed != config.run.seed:
            seed += f"-order_{config.order_seed}"
        return cls(os.path.join(config.run.out, name, seed), config.run.out)

    def path(self, name: str) -> str:
        """The path of one of the run's files or folders."""
        return os.path.join(self.folder, name)

    config = property(lambda self: self.path("config.cfg"))
    architecture = property(lambda self: self.path(own_networks.FILE))
    manifest = property(lambda self: self.path("manifest.json"))
    subset = property(lambda self: self.path("subset.csv"))
    data = property(lambda self: self.path("data.json"))
    pictures = property(lambda self: self.path("pictures.csv"))
    rewind = property(lambda self: self.path("rewind.npz"))
    tensorboard = property(lambda self: self.path("tensorboard"))
    table = property(lambda self: self.path("table.csv"))
    attempts = property(lambda self: self.path("attempts.csv"))
    examples = property(lambda self: self.path("examples.npz"))
    backbone = property(lambda self: self.path("backbone.safetensors"))
    verdict = property(lambda self: self.path("verdict.json"))

    @property
    def inner(self) -> str:
        """Which of the runs inside of a run's folder this is: `refit`, `rival` or `refit/rival`; nothing of a run."""
        *_, above, last = ["", *os.path.abspath(self.folder).split(os.sep)]
        return f"{REFIT}/{RIVAL}" if (above, last) == (REFIT, RIVAL) else last if last in (REFIT, RIVAL) else ""

    @property
    def _outer(self):
        """The path of the run's own folder, which this one is or lies in."""
        return os.path.dirname(self._above) if "/" in self.inner else self._above if self.inner else self.folder

    @property
    def _above(self):
        return os.path.dirname(os.path.abspath(self.folder))

    @property
    def name(self) -> str:
        """The run's name wherever it lies: its last two folders, and those inside."""
        folders = os.path.abspath(self._outer).split(os.sep)[-2:]
        return "/".join([*folders, self.inner] if self.inner else folders)

    @property
    def refits(self) -> bool:
        """Whether this is a run on all images of the subset, those that were held out included."""
        return self.inner.startswith(REFIT)

    @property
    def is_rival(self) -> bool:
        """Whether this is the run of the dense network that was trained as long as the rounds."""
        return self.inner.endswith(RIVAL)

    @functools.cached_property
    def refit(self) -> "RunFolder":
        """The folder of the chosen rounds on all images, inside of this one."""
        return self._inside(REFIT)

    @functools.cached_property
    def rival(self) -> "RunFolder":
        """The folder of the dense network that is trained as long as the rounds, inside of this one."""
        return self._inside(RIVAL)

    def _inside(self, name):
        folder = RunFolder(self.path(name))
        folder._began = self._began
        return folder

    @property
    def ticket(self) -> str:
        """The folder of the ticket; a run and those inside have one."""
        return os.path.join(self._outer, "ticket")

    @property
    def of_ticket(self) -> "RunFolder":
        """The folder whose round the ticket is: this one, or one inside."""
        inner = (self.exported() or (0, ""))[1]
        return RunFolder(self.path(inner)) if inner and not self.inner else self

    def exported(self) -> tuple[int, str] | None:
        """(round, `inner` of its folder) of the ticket that is there, else None; StateError where damaged.

        A folder inside of a run has none while that of the run is of another.
        """
        path = os.path.join(self.ticket, DOCUMENT)
        if not os.path.isfile(path):
            return None
        document = storage.read_json(path)
        if isinstance(document, dict) and isinstance(members := document.get("members"), list) and members:
            document = members[0]  # of format 3
        if not isinstance(document, dict) or type(document.get("round")) is not int:
            raise StateError(f"{path} is no ticket's document; restore it, or delete {self.ticket} to write it anew")
        inner = inner_of(document.get("settings"))
        return None if self.inner not in ("", inner) else (document["round"], inner)

    @property
    def pretraining(self) -> RoundFolder:
        """The files of a `pretrain` run, kept like those of a round."""
        return RoundFolder(self.path("pretraining"), 0)

    def round(self, index: int) -> RoundFolder:
        """The folder of round `index`."""
        return RoundFolder(self.path(f"round_{index:02d}"), index)

    def member(self, index: int) -> RoundFolder:
        """The folder of a member of the run's soup."""
        return RoundFolder(self.path(os.path.join("members", f"member_{index:02d}")), index)

    def fold(self, index: int, fold: int, count: int) -> RoundFolder:
        """The folder of the training of round `index` without the part `fold` of `count` parts of its images."""
        return RoundFolder(self.path(os.path.join(f"calibration_{index:02d}_of_{count}", f"fold_{fold:02d}")), fold)

    def summaries(self) -> list[dict]:
        """The summaries of the complete rounds, from round 0 to the first incomplete one."""
        summaries, index = [], 0
        while self.round(index).complete:
            summaries.append(self.round(index).read_summary())
            index += 1
        return summaries

    def remove_superfluous(self) -> None:
        """Removes the checkpoints of all rounds before the last complete one, whose durable summary replaces them.

        Also when a finished run is asked for again: it may have been killed in between.
        """
        for index in range(len(self.summaries()) - 1):
            for path in self.round(index).checkpoints:
                storage.remove(path)

    def _forget_if_untouched(self):
        """Removes a folder that holds nothing but the lock: bad input leaves nothing behind."""
        if os.listdir(self.folder) == ["lock"]:
            os.remove(self.path("lock"))
            with contextlib.suppress(OSError):
                os.removedirs(self.folder)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run's lock, see `locks`; LockedError names the holder. What was planted in it is a StateError."""
        path = self.path("lock")
        try:
            if self._out is not None:
                above, last = os.path.split(self.folder)
                storage.subfolder(storage.subfolder(self._out, os.path.basename(above)), last)
            os.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}; choose another --out") from None
        with storage.disk_faults(), locks.hold(path):
            self._began = time.strftime("%Y-%m-%d %H:%M:%S")
            leftovers.tend(self.folder, os.path.basename(self.tensorboard))
            try:
                yield
            except UsageError:
                self._forget_if_untouched()
                raise

    def note_attempt(self, round_index: int | str, step: int | str = "") -> None:
        """Adds a line to attempts.csv, once for each time that the lock was taken: outside of every comparison.

        What stands there before is not read: lines are only added below it.

        Args:
          round_index: the round that this process begins or continues; `ticket` when only that was left to write.
          step: the global step of that round from which it goes on.
        """
        if self._began is None:
            return
        row = (self._began, socket.gethostname(), os.getpid(), round_index, step)
        self._began = None
        try:
            with storage.open_regular(self.attempts, StateError) as file:
                before = file.read()
        except FileNotFoundError:
            before = b"began,host,process,round,step\n"
        line = ",".join(str(part) for part in row) + "\n"
        storage.write_bytes(self.attempts, before + line.encode())


def inner_of(settings: object) -> str:
    """`RunFolder.inner` of the folder that a ticket of such settings is of."""
    named = settings if isinstance(settings, dict) else {}
    return "/".join(name for name in (REFIT, RIVAL) if named.get(name, "none") not in (False, "none"))


@dataclasses.dataclass(frozen=True)
class Place:
    """What lies at a path that a user gave.

    Attributes:
      path: absolute.
      kind: `ticket` (a ticket folder), `run`, `round` or `other`.
      run: the RunFolder that it is or lies in, None where there is none; of a ticket not always its own.
      round: the RoundFolder of a round, else None.
    """

    path: str
    kind: str
    run: RunFolder | None = None
    round: RoundFolder | None = None


def exports_of(folder: str) -> str:
    """Where the rows of EXPORT_COLUMNS of a ticket or round lie: beside its folder, which stays as it is."""
    return f"{os.path.abspath(folder)}.exports.csv"


def place(path: str) -> Place:
    """Says what lies at a path, by the file or the name that tells; nothing is read."""
    path = os.path.abspath(path)
    run, parent = RunFolder(path), RunFolder(os.path.dirname(path))
    above = parent if os.path.isfile(parent.config) else None
    if os.path.isfile(os.path.join(path, DOCUMENT)):
        return Place(path, "ticket", above)
    if os.path.isfile(run.config):
        return Place(path, "run", run)
    prefix, _, number = os.path.basename(path).partition("_")
    if above and prefix == "round" and number.isdigit():
        return Place(path, "round", above, RoundFolder(path, int(number)))
    return Place(path, "other", above)


def usable_place(path: str) -> Place:
    """As `place`; UsageError where it is no run, round or ticket, or a round that is not complete."""
    recognised = place(path)
    if recognised.kind == "other":
        from tf_tickets.runtime import files

        remedy = files.instead(recognised.path, "one, such as runs/cifar10-resnet18-.../seed_0")
        raise UsageError(f"{recognised.path} is no run, round or ticket folder; {remedy}")
    if recognised.round is not None and not recognised.round.complete:
        raise UsageError(f"{recognised.path} is not complete: run its command again to finish it")
    return recognised
