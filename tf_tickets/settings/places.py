"""Where the images of a data set are: what the settings that say it hold."""

import dataclasses

# How a name begins of what was given from Python.
PREFIX = "python:"


@dataclasses.dataclass(frozen=True)
class Place:
    """The values of the settings of these names.

    Attributes:
      data_dir: folder of prepared data sets, or of the user's own pictures; None: see data.sources.data_root.
      data_file: of the user's own arrays.
      labels_file: the table of the user's own pictures.

    What was given from Python has a name, `PREFIX` and a digest, in place of a file's path; see data.content_names.
    """

    data_dir: str | None = None
    data_file: str | None = None
    labels_file: str | None = None

    def shown(self, flags: tuple[str, ...]) -> str:
        """Some of them as they are given, such as --data_dir=pictures."""
        if any(is_name(getattr(self, flag)) for flag in flags):
            return "data="
        return " ".join(f"--{flag}={getattr(self, flag)}" for flag in flags)


def is_name(value: str | None) -> bool:
    """Whether a setting of these has a name of what was given from Python, not a path."""
    return value is not None and value.startswith(PREFIX)


FLAGS = tuple(field.name for field in dataclasses.fields(Place))
