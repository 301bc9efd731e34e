"""`prepare`: makes TFDS' standard folder of a data set from an archive or folder on disk."""

from tf_tickets import streams
from tf_tickets.data import archives, sources, tfds_folders
from tf_tickets.errors import TicketError, UsageError, reason
from tf_tickets.registry import DATASETS


def prepare(name: str, archive: str | None, data_dir: str | None) -> str:
    """Builds TFDS' folder of a data set; `tfds.load(name, data_dir=...)` then reads it.

    Args:
      name: of a registered data set that accepts archives.
      archive: what it accepts; unused where the data set is already prepared.
      data_dir: folder of prepared data sets; None: see `sources.data_root`.

    Returns:
      The prepared folder's path.

    Raises:
      UsageError: another name, an archive that is missing, unknown or damaged, or a folder that cannot be written;
        nothing was created.
      StateError: the prepared folder is there but damaged.
    """
    accepted = DATASETS[name].accepted
    if accepted is None:
        known = [accepting for accepting, provider in DATASETS.items() if provider.accepted]
        raise UsageError(f"prepare {name}: only {' and '.join(known)} are prepared from an archive")
    folder = tfds_folders.prepared_folder(name, data_dir)
    if tfds_folders.is_prepared(name, data_dir):
        streams.say(f"{name} is already prepared in {folder}")
        return folder
    if not archive:
        raise UsageError(f"prepare {name} needs --archive=FILE, accepted: {accepted}")
    tfds_folders.check_writable(data_dir, name)
    try:
        with archives.reading():
            split_generators = DATASETS[name].opened(archive, sources.data_root(data_dir))
    except (archives.Problem, OSError) as error:
        raise UsageError(f"--archive={archive}: {reason(error)}; accepted: {accepted}") from None
    streams.say(f"preparing {name} in {folder}, half a minute or more ...")
    try:
        tfds_folders.build(name, data_dir, split_generators)
    except TicketError:
        raise
    except Exception as error:  # TFDS and TensorFlow raise errors of many types when a disk fails or is full
        raise UsageError(f"{folder} cannot be written: {reason(error)}; choose another --data_dir") from error
    return folder
