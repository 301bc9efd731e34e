"""The lock of a run folder: the kernel's, and a lease for file systems on which that ends at the host.

`flock` is the lock. Where every host that shares the folder heeds it (NFSv4, GPFS, Lustre with -o flock) it is enough:
the file server frees a dead host's lock by itself. Where it reaches this host alone, two hosts would both get it; so
the holder also names itself in the file and touches it every few seconds, and who gets the lock of another host's
holder watches first whether that goes on. Whether a touch is recent is told by the file's own clock, not this host's.
"""

import contextlib
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Iterator

from tf_tickets import stopping, storage, streams
from tf_tickets.errors import LockedError, StateError, StopRequested, UsageError

# Seconds between two touches, and without one after which a holder on another host counts as gone.
_TOUCHED, _LEASE = 5.0, 60.0

# Seconds that a holder has to write its name after it got the lock, and after which it is left unnamed.
_NAMES, _UNNAMED = 0.2, 5.0


def check(what: str) -> None:
    """UsageError where this system has no flock; `what` is the command, or other thing, that would take a lock."""
    if _fcntl() is None:
        raise UsageError(
            f"{what} needs Linux: run folders are locked with flock, which this system does not have; predict, verify, "
            "export and report work here, and so does tf_tickets.runtime"
        )


def _fcntl():
    """The module of this name; None on Windows."""
    try:
        import fcntl
    except ImportError:
        return None
    return fcntl


@contextlib.contextmanager
def hold(path: str) -> Iterator[None]:
    """Holds a lock file; a dead process' lock is free at once, that of a dead host when its lease is over.

    Args:
      path: of the file; its folder is there.

    Raises:
      LockedError: another process has it; names it.
      StateError: the file cannot be written, or is a link, FIFO, device or folder.
      StopRequested: while a lease was watched.
      UsageError: this system has no such locks.
    """
    check(f"{path}: a run folder")
    fcntl = _fcntl()
    assert fcntl is not None, "checked above"
    try:
        descriptor = storage.open_own(path, os.O_RDWR)
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}; choose another --out") from None
    try:
        _take(fcntl, path, descriptor)
        _outlast(path, descriptor)
        holder = _name_holder(descriptor)
        lease = _Lease(path, descriptor, holder)
        lease.start()
        try:
            yield
        finally:
            lease.end()
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)  # nobody has to wait for a lease that was given back
    finally:
        os.close(descriptor)


def _take(fcntl, path, descriptor):
    """Gets the lock; LockedError where another has it, after the moment that it has to write who it is."""
    deadline = time.monotonic() + _UNNAMED
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            time.sleep(_NAMES)  # until then the file may still name a dead holder
            if _content(descriptor) or time.monotonic() > deadline:
                raise _in_use(path, descriptor) from None


def _name_holder(descriptor):
    """Writes who holds the lock, and gives it back as bytes: a line for people, and one that nobody else can have."""
    who = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"
    holder = f"{who}\n{_kernel()} {secrets.token_hex(8)}\n".encode()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, holder, 0)
    return holder


def _kernel():
    """What tells the running kernel from any other: within it, flock alone decides."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return socket.gethostname()


def _content(descriptor):
    return os.pread(descriptor, 4096, 0)


def _in_use(path, descriptor):
    """The LockedError that names the holder."""
    holder = _content(descriptor).decode("utf-8", "replace").partition("\n")[0].strip() or "another process"
    folder, silent = os.path.dirname(path), _age(path, descriptor)
    gone = f", or delete {path} if that host is gone: silent for {silent / 60:.0f} minutes" if silent > _LEASE else ""
    return LockedError(f"{folder} is in use by {holder}; wait for it, or choose another --out{gone}")


def _age(path, descriptor):
    """Seconds since the holder's last touch, both moments told by the file system that holds the folder."""
    try:
        with tempfile.TemporaryFile(dir=os.path.dirname(path)) as now:
            return os.fstat(now.fileno()).st_mtime - os.fstat(descriptor).st_mtime
    except OSError:
        return 0.0


def _outlast(path, descriptor):
    """Waits until the lease of a holder on another host is over; LockedError when it is renewed."""
    kernel = _content(descriptor).decode("utf-8", "replace").partition("\n")[2].partition(" ")[0]
    if not kernel or kernel == _kernel() or _age(path, descriptor) > _LEASE:
        return
    last, told = os.fstat(descriptor).st_mtime_ns, False
    deadline = time.monotonic() + _LEASE
    while time.monotonic() < deadline:
        if not told:
            streams.say(f"tf-tickets: {_in_use(path, descriptor)}; watching it for a minute")
            told = True
        if stopping.requested():
            raise StopRequested("stopped on request")
        time.sleep(_TOUCHED / 5)
        # Opened anew: that is when a network file system asks its server.
        with storage.open_regular(path, StateError) as file:
            if os.fstat(file.fileno()).st_mtime_ns != last:
                raise _in_use(path, descriptor)


class _Lease(threading.Thread):
    """Touches the file while the lock is held, and ends the process when another has taken it."""

    def __init__(self, path, descriptor, holder):
        super().__init__(name="lease", daemon=True)
        self._path, self._descriptor, self._holder = path, descriptor, holder
        self._ended = threading.Event()

    def run(self):
        """Until `end`."""
        while not self._ended.wait(_TOUCHED):
            # A host that was frozen or cut off for a lease may find the run in other hands: it must not write again.
            if self._lost():
                streams.say(f"tf-tickets: {self._path} was taken over while this process stood still")
                streams.leave(LockedError.exit_status)
            with contextlib.suppress(OSError):  # a disk that refuses is for whoever has something to write
                os.utime(self._descriptor)

    def _lost(self):
        try:  # by its name: who is told to delete the file of a host that is gone makes a new one
            with storage.open_regular(self._path, StateError) as file:
                return file.read(4096) != self._holder
        except StateError:  # another has put something else in its place
            return True
        except OSError:
            return False

    def end(self):
        """No touch comes after this."""
        self._ended.set()
        self.join()
