"""What Python programs call: runs, reports, advice and exports, as values that notebooks show."""

from __future__ import annotations

import dataclasses
import functools
import html
import os
import typing
from collections.abc import Callable, Sequence

from tf_tickets import observers as observing
from tf_tickets import runs
from tf_tickets.data import from_python
from tf_tickets.errors import UsageError
from tf_tickets.experiments.result import Result
from tf_tickets.settings.config import Config

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tf_tickets.advise.advising import Advice
    from tf_tickets.data.image_arrays import ImageArrays
    from tf_tickets.data.table import PictureTable
    from tf_tickets.export.ticket import Ticket

# What stands for a run, a round or a ticket: its value, or the path of its folder.
Place = typing.Union[str, "os.PathLike[str]"]


@dataclasses.dataclass(frozen=True, repr=False)
class Run(Result):
    """A finished run, as `imp` and `train` return it; a notebook shows its table and its figure.

    It stands for the path of its folder wherever a path is asked for.
    """

    def __fspath__(self) -> str:
        """The path of its folder."""
        return self.folder

    def __repr__(self) -> str:
        """Its folder and its rounds as text."""
        from tf_tickets.report import tables

        return "\n".join([f"<Run: {self.folder}>", tables.format_table(self._frame), *self._ending])

    @property
    def _ending(self):
        """What the ticket is, where it is not the chosen round of the table, and the verdict on the rival."""
        lines = [self.verdict.sentence()] if self.verdict else []
        if self.exports_rival:
            lines.append("The ticket is the dense network trained as long.")
        if self.refits:
            lines.append("The ticket was trained again on all images of the subset, those held out included.")
        return lines

    def _repr_html_(self) -> str:
        from tf_tickets.plotting import canvas

        with canvas.look(canvas.LOOK):
            drawn = canvas.saved(self.plot(), "svg").decode()
        return (
            f"<p><code>{html.escape(self.folder)}</code></p><pre>{html.escape(repr(self).partition(chr(10))[2])}</pre>"
            + drawn[drawn.index("<svg") :]
        )

    @property
    def _frame(self):
        from tf_tickets.report import tables

        return tables.run_table(runs.RunFolder(self.folder), self.chosen)

    @functools.cached_property
    def ticket(self) -> Ticket:
        """The exported network."""
        from tf_tickets.export import loading

        return loading.load(runs.RunFolder(self.folder).ticket)

    def plot(self) -> Figure:
        """Test accuracy against density, the exported round ringed; a matplotlib figure, which a notebook shows."""
        import pandas

        from tf_tickets.plotting import canvas
        from tf_tickets.report import naming, pairing, plots

        title = plots.labels(pandas.DataFrame([naming.settings(runs.RunFolder(self.folder))]))[0]
        with canvas.look(canvas.LOOK):
            return plots.figure(pairing.comparable(self._frame), title)

    def report(self, out: Place | None = None) -> Report:
        """Tables, figures and a page of this run, in its folder or in `out`; see `report`."""
        return report(self, out=out)


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
    """A written report.

    Attributes:
      page: path of the page, report.html, which needs no other file.
      text: the tables as text.
      problems: one line for each run that was left out.
    """

    page: str
    text: str
    problems: tuple[str, ...]

    def __fspath__(self) -> str:
        """The path of the page."""
        return self.page

    def __repr__(self) -> str:
        """The tables, and what was left out."""
        return "\n".join([self.text, *self.problems])

    def _repr_html_(self) -> str:
        path = html.escape(os.path.relpath(self.page).replace(os.sep, "/"))
        return f"<pre>{html.escape(repr(self))}</pre><p><a href='{path}'>{path}</a></p>"


def imp(
    config: Config, stop: Callable[[], bool] = lambda: False, *, data: ImageArrays | PictureTable | None = None,
    model: typing.Any = None,
    observers: Sequence[observing.Observer] = (),
) -> Run | None:  # fmt: skip
    """Runs or continues the rounds of a search (docs/science.md, IMP): what the command `imp` does.

    Args:
      config: of the run.
      stop: function asked between blocks of steps; when true, state is saved and StopRequested raised.
      data: images of the program's own, of `tt.data.from_arrays` and its like; None: those that the config names.
      model: a functional Keras model with logits out, whose weights are the start; or a function that gives one, which
        may take `classes` and `image_shape`, and whose weights the program draws unless it gives the same each time.
        None: the network that `config` names.
      observers: are told how each round goes on.

    Returns:
      A Run; None on a worker that is not the chief. Asked again when complete, returns at once.

    Raises:
      UsageError, StateError, LockedError, DivergedError, StopRequested, WorkerLost: see `errors`.
    """
    from tf_tickets.experiments.imp import imp

    with observing.told(observers):
        return _run(imp(_on(from_python.configured(config, data), model), stop))


def train(
    config: Config, stop: Callable[[], bool] = lambda: False, *, data: ImageArrays | PictureTable | None = None,
    model: typing.Any = None,
    observers: Sequence[observing.Observer] = (),
) -> Run | None:  # fmt: skip
    """Trains or continues one network, dense or with the mask of a ticket: what the command `train` does.

    Arguments, result and errors are those of `imp`.
    """
    from tf_tickets.experiments.train import train

    with observing.told(observers):
        return _run(train(_on(from_python.configured(config, data), model), stop))


def _on(config, model):
    if model is None:
        return config
    from tf_tickets.experiments import given_network

    return given_network.with_model(config, model)


def _run(result):
    if result is None:
        return None
    return Run(**{field.name: getattr(result, field.name) for field in dataclasses.fields(result)})


def report(*places: Place, out: Place | None = None, latex: bool = False, pdf: bool = False) -> Report:
    """Compares runs in tables, figures and a page: what the command `report` does.

    Args:
      places: runs, folders above run folders, or the CSV files of earlier reports.
      out: the folder to write into; None: the first place.
      latex: whether to write the tables as LaTeX too.
      pdf: whether to write the figures as PDF too.

    Raises:
      UsageError, StateError: see `errors`.
    """
    from tf_tickets.report import command

    given = paths(places)
    folder = given[0] if out is None else os.fspath(out)
    text, problems = command.report(given, None if out is None else folder, latex=latex, pdf=pdf)
    folder = folder if os.path.isdir(folder) else os.path.dirname(os.path.abspath(folder))
    return Report(os.path.join(folder, "report.html"), text, tuple(problems))


def advise(
    data: ImageArrays | PictureTable | Place | None = None, stop: Callable[[], bool] = lambda: False,
    **settings: typing.Any,
) -> Advice:  # fmt: skip
    """Looks at pictures and says what to do with them: what the command `advise` does.

    Args:
      data: the folder of the pictures, one folder per class; or images of the program's own, of
        `tt.data.from_arrays` and its like; None: those that the settings name.
      stop: function asked between batches and fits; when true, StopRequested is raised.
      settings: other flags of the command, such as dataset="cifar10", per_class=50, pretrained="imagenet" or out.

    Returns:
      An Advice: its page, what it says as text, and all that was found; a notebook shows its text.

    Raises:
      UsageError, StateError, StopRequested: see `errors`.
    """
    from tf_tickets.advise import advising

    if isinstance(data, (str, os.PathLike)):
        given = {"dataset": "folder", "data_dir": os.fspath(data)}
    else:
        given = from_python.settings_of(data)
    if not given and "dataset" not in settings:
        raise UsageError("advise needs pictures: a folder, data=..., or dataset=NAME")
    config = Config.from_values(**given | settings)
    return advising.advise(config, stop, asked="model" in settings)


def export(
    network: Place, formats: str | Sequence[str] | None = None, *, out: Place | None = None,
    data: ImageArrays | PictureTable | None = None, **settings: str | None,
) -> str:  # fmt: skip
    """Writes a ticket in other formats: what the command `export` does.

    Args:
      network: a run, or the folder of a ticket, a round or a run.
      formats: as `--format` of export, such as runtime, tflite, onnx and c; None: all that it can have.
      out: the folder to write into; None: `<ticket folder>.export`.
      data: its images, with which files are compared, where they are the program's own; see `imp`.
      settings: data_dir, data_file and labels_file: where its images are otherwise; unset: where its run read them.

    Returns:
      The table of files: sizes, how far each is from the ticket's own predictions, and how long it takes.

    Raises:
      UsageError, StateError: see `errors`.
    """
    from tf_tickets.export import formats as writing

    folder = None if out is None else os.fspath(out)
    config = Config.from_values(**from_python.settings_of(data) | settings)
    wanted = formats.split(",") if isinstance(formats, str) else None if formats is None else list(formats)
    return writing.export(os.fspath(network), wanted, config, folder)


def paths(places: Place | Sequence[Place]) -> list[str]:
    """Paths as text; one place stands for a list of it."""
    places = [places] if isinstance(places, (str, os.PathLike)) else places
    return [os.fspath(place) for place in places]
