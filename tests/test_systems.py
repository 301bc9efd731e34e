"""What works where Linux' own calls are missing: the package is loaded anew without what macOS and Windows lack."""

import builtins
import errno
import fcntl
import importlib
import io
import os
import pathlib
import signal
import socket
import sys
import tempfile
import types

import numpy as np
import pytest
from absl import flags
from conftest import QUICK, ROOT
from PIL import Image
from tensorflow_datasets.core import registered

import tf_tickets

_SCHEDULER = "sched_getaffinity sched_setaffinity sched_getscheduler sched_setscheduler sched_getparam"
_LINUX = (
    f"{_SCHEDULER} posix_fadvise posix_fallocate fallocate memfd_create eventfd eventfd_read eventfd_write pidfd_open "
    "copy_file_range splice setns unshare getrandom getxattr setxattr listxattr removexattr setresuid setresgid "
    "O_TMPFILE O_PATH O_DIRECT O_NOATIME O_LARGEFILE O_RSYNC fdatasync pipe2"
).split()
_POSIX = (
    f"{_SCHEDULER} O_NOFOLLOW O_DIRECTORY O_NONBLOCK O_CLOEXEC O_NOCTTY O_SYNC O_DSYNC pread pwrite preadv pwritev "
    "fork forkpty register_at_fork getuid geteuid getgid getegid getgroups setuid setgid setsid getpgid getpgrp "
    "setpgid killpg getsid nice uname mkfifo mknod statvfs fstatvfs chroot chown fchown lchown fchdir sync lockf wait "
    "wait3 wait4 waitid WNOHANG WEXITSTATUS ttyname openpty tcgetpgrp ctermid getloadavg getpriority setpriority "
    "sysconf confstr pathconf fpathconf posix_spawn posix_spawnp sendfile readv writev fchmod"
).split()
_SIGNALS = (
    "SIGHUP SIGKILL SIGQUIT SIGUSR1 SIGUSR2 SIGALRM SIGPIPE SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGWINCH "
    "SIGIO SIGURG SIGXCPU SIGXFSZ alarm setitimer getitimer pause pthread_kill pthread_sigmask sigpending sigwait "
    "sigwaitinfo sigtimedwait siginterrupt"
).split()
_MODULES = ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "posix", "syslog", "readline", "curses")


class Stand(types.ModuleType):
    """A module of the standard library without some names, and with some others."""

    def __init__(self, module, gone=(), **changed):
        super().__init__(module.__name__)
        self.__dict__.update(changed, _module=module, _gone=frozenset(gone))

    def __getattr__(self, name):
        if name in self._gone:
            raise AttributeError(f"this system has no {self._module.__name__}.{name}")
        return getattr(self._module, name)


def windows():
    """(modules, modules that are missing) of Windows."""

    def opened(path, *arguments, **more):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return os.open(path, *arguments, **more)

    def synced(handle):
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        os.fsync(handle)

    def temporary(*arguments, **more):
        raise AssertionError("Windows opens such a file only once")

    paths = Stand(os.path, sep="\\", relpath=lambda *paths: os.path.relpath(*paths).replace("/", "\\"))
    return {
        "os": Stand(os, _POSIX, name="nt", sep="\\", path=paths, open=opened, fsync=synced),
        "signal": Stand(signal, _SIGNALS), "sys": Stand(sys, platform="win32"),
        "socket": Stand(socket, ["AF_UNIX"]), "tempfile": Stand(tempfile, NamedTemporaryFile=temporary),
    }, _MODULES  # fmt: skip


def macos():
    """The same of macOS."""
    gone = ["SIGPWR", "SIGSTKFLT", "SIGPOLL", "SIGRTMIN", "SIGRTMAX", "sigwaitinfo", "sigtimedwait"]
    stands = {"os": Stand(os, _LINUX), "signal": Stand(signal, gone), "sys": Stand(sys, platform="darwin")}
    return stands, ()


@pytest.fixture
def on(monkeypatch):
    """A function that loads the package anew for a system, and gives a function that imports one of its modules."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tf_tickets"]:
        monkeypatch.delitem(sys.modules, name)
    true_import, true_open = builtins.__import__, builtins.open

    def load(stands, missing):
        def imported(name, globals=None, locals=None, fromlist=(), level=0):
            root = name.partition(".")[0]
            if level == 0 and str((globals or {}).get("__name__", "")).partition(".")[0] == "tf_tickets":
                if root in missing:
                    raise ModuleNotFoundError(f"No module named {root!r}", name=root)
                if root in stands:
                    return stands[root]
            return true_import(name, globals, locals, fromlist, level)

        def opened(path, *arguments, **more):
            if isinstance(path, str) and path.startswith("/proc/"):
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
            return true_open(path, *arguments, **more)

        monkeypatch.setattr(builtins, "__import__", imported)
        monkeypatch.setattr(builtins, "open", opened)
        return lambda name: importlib.import_module(f"tf_tickets.{name}")

    with registered.skip_registration():  # our builders are known to TFDS from the first time
        yield load
    for name in [name for name in sys.modules if name.partition(".")[0] == "tf_tickets"]:
        del sys.modules[name]


def run(module, *words):
    """Runs a command line; returns the exit status."""
    request = module("settings.cli").parse(["tf-tickets", *words], flags.FlagValues())
    return module("main").main(request)


@pytest.fixture(scope="module")
def ticket(tmp_path_factory):
    """(folder of a ticket on digits, folder of three pictures, their probabilities)."""
    folder = tmp_path_factory.mktemp("made")
    found = tf_tickets.imp(tf_tickets.Config.from_values(**QUICK | {"rounds": 2, "epochs": 2}, out=str(folder)))
    images = np.random.RandomState(0).randint(0, 256, (3, 8, 8, 1), np.uint8)
    for index, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / f"{index}.png")
    return f"{found.folder}/ticket", folder, tf_tickets.Ticket.load(f"{found.folder}/ticket").predict(images)


@pytest.mark.parametrize("system", [windows, macos])
def test_every_module_loads(on, system):
    module, package = on(*system()), pathlib.Path(tf_tickets.__file__).parent
    paths = [path.relative_to(package).with_suffix("") for path in package.rglob("*.py") if path.stem != "__init__"]
    assert len(paths) > 100
    for path in paths:
        module(".".join(path.parts))
    assert module("sweeps.devices").cores() == os.cpu_count()


def test_windows_predicts_verifies_and_exports(on, ticket, capsys, tmp_path, monkeypatch):
    folder, pictures, expected = ticket
    module = on(*windows())
    assert run(module, "verify", folder) == 0 and "have their hashes" in capsys.readouterr().out
    assert run(module, "predict", folder, str(pictures / "0.png"), "--format=csv") == 0
    from_file = capsys.readouterr().out.splitlines()[1].split(",")
    assert float(from_file[3]) == pytest.approx(expected[0].max(), abs=1e-6)
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO((pictures / "0.png").read_bytes())))
    assert run(module, "predict", folder, "-", "--format=csv") == 0
    assert capsys.readouterr().out.splitlines()[1].split(",")[1:] == from_file[1:]
    out = str(tmp_path / "files")
    assert run(module, "export", folder, "--format=ticket,runtime", f"--out={out}") == 0
    with np.load(f"{out}/runtime.npz") as archive:
        assert archive.files
    images = np.stack([np.asarray(Image.open(pictures / f"{index}.png"))[..., None] for index in range(3)])
    for path in (folder, f"{out}/runtime.npz", f"{out}/ticket"):
        np.testing.assert_allclose(module("runtime").load(path).predict(images), expected, atol=1e-4)
    assert run(module, "verify", f"{out}/ticket") == 0


@pytest.mark.parametrize("words", [
    ["--dataset=digits"], ["train", "--dataset=digits"], ["pretrain"], ["sweep", "--sweep=seed=0,1"],
])  # fmt: skip
def test_windows_refuses_what_needs_locks_in_one_line(on, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = on(*windows())
    with pytest.raises(module("errors").UsageError, match=r"(imp|train|pretrain|sweep) needs Linux: run folders are"):
        run(module, *words)
    refused = pytest.raises(module("errors").UsageError, match="lock: a run folder needs Linux")
    with refused, module("locks").hold("lock"):
        pass
    assert not os.listdir(tmp_path)


def test_windows_reports(on, tmp_path, capsys):
    rows = ROOT / "results" / "quickstart"
    assert run(on(*windows()), "report", str(rows), f"--out={tmp_path}", "--latex") == 0
    assert "6 pairs, exact sign-flip p = 0.031" in capsys.readouterr().out
    assert (tmp_path / "paired.csv").read_bytes() == (rows / "paired.csv").read_bytes()


def test_windows_plans(on, capsys):
    assert run(on(*windows()), "--dataset=digits", "--images=60", "--dry_run") == 0
    assert "digits" in capsys.readouterr().out


def test_a_drive_that_is_not_there_is_named(on):
    import ntpath

    module = on(*windows())
    storage = module("storage")
    storage.os = Stand(os, path=Stand(ntpath, exists=lambda path: False, abspath=lambda path: "Z:\\runs\\new"))
    with pytest.raises(module("errors").UsageError, match=r"there is no Z:"):
        storage.check_writable("Z:\\runs\\new")


@pytest.mark.parametrize("name", ["../x", "..\\x", "a/..\\..\\x", "C:\\x", "C:x", "\\x", "/x", "\\\\host\\share\\x"])
def test_a_document_names_nothing_outside_the_ticket_on_any_system(name, tmp_path):
    from tf_tickets.runtime import files

    with pytest.raises(files.Damaged, match="outside the ticket"):
        files.check_hash(str(tmp_path), name, {"files": {}})


def test_macos_runs(on, ticket, tmp_path):
    """A run as here but for what macOS lacks: locks, checkpoints and ticket; its bits are those of any run."""
    folder, pictures, expected = ticket
    module = on(*macos())
    out = str(tmp_path / "runs")
    settings = QUICK | {"rounds": 2, "epochs": 2}
    assert run(module, "imp", *(f"--{name}={value}" for name, value in settings.items()), f"--out={out}") == 0
    (again,) = [path for path, _, names in os.walk(out) if "ticket.json" in names]
    assert run(module, "verify", again) == 0
    with np.load(f"{again}/ticket.npz") as ours, np.load(f"{folder}/ticket.npz") as theirs:
        assert all((ours[name] == theirs[name]).all() for name in theirs.files)
    with pytest.raises(module("errors").UsageError, match="--engine=ray needs Linux"):
        run(module, "sweep", "--sweep=seed=0,1", "--engine=ray")
