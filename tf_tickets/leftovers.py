"""What killed processes leave of the files that they were writing, and when it is removed."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator

from tf_tickets import storage
from tf_tickets.errors import StateError

# Seconds after which what was being written beside an unlocked file is nobody's any more.
_FORSAKEN = 3600.0


def tend(folder: str, in_place: str) -> None:
    """Readies a folder for its only writer: what killed processes were writing is removed, what was planted refused.

    Args:
      folder: path, whose lock is held.
      in_place: name of the folders in it whose files are written under their final names; no link is admitted there.

    Raises:
      StateError: below the folder stands something that is neither a folder nor a regular file, nor a link to one.
    """
    for path, folders, files in os.walk(folder):
        for name in [name for name in (*folders, *files) if name.endswith(storage.TEMPORARY)]:
            storage.remove(os.path.join(path, name))
        folders[:] = [name for name in folders if not name.endswith(storage.TEMPORARY)]
        strict = in_place in os.path.relpath(path, folder).split(os.sep)
        for name in folders:
            storage.subfolder(path, name)
        for name in files:
            entry = os.path.join(path, name)
            if not name.endswith(storage.TEMPORARY) and (strict or not os.path.isfile(entry)):
                storage.check_regular(os.lstat(entry).st_mode, entry, StateError)


def remove_forsaken(folder: str) -> None:
    """Removes what processes that were killed long ago were writing into a folder that has no lock."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            random = entry.name.removesuffix(storage.TEMPORARY).rpartition(".")[2]
            ours = entry.name.endswith(storage.TEMPORARY) and len(random) == 16
            with contextlib.suppress(OSError):  # another user's, in a folder that all write
                if ours and time.time() - entry.stat(follow_symlinks=False).st_mtime > _FORSAKEN:
                    storage.remove(entry.path)


@contextlib.contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder that is removed at the end, in which all that asks `tempfile` for a place gets it meanwhile.

    What killed processes left of such folders is removed at the beginning, as by `remove_forsaken`.
    """
    place = tempfile.gettempdir()
    remove_forsaken(place)
    folder = storage.temporary_name(os.path.join(place, "tf-tickets"))
    os.mkdir(folder, 0o700)
    before, tempfile.tempdir = tempfile.tempdir, folder
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        storage.remove(folder)
