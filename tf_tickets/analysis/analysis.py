"""What is asked of an analysis; without TensorFlow."""

import typing
from collections.abc import Callable, Iterator, Sequence

from tf_tickets.evaluation.evaluator import Measure, Task

if typing.TYPE_CHECKING:
    from tf_tickets.analysis.activations import Loader
    from tf_tickets.evaluation.networks import Subject


class Analysis(Measure):
    """An analysis. Each derives from it, registers itself in `registry.ANALYSES`, and says what is not as here.

    Its rows have the columns `runs.EVALUATION_COLUMNS`, the analysis' name as their evaluator.
    """

    of_masks: bool = False
    """Whether it looks at masks alone, so that no images have to be there."""
    sheet: Callable | None = None
    """Of what stands alone and takes no path: function (config.Config) -> path of the sheet that it has drawn."""

    def problems(self, paths: Sequence[str]) -> Iterator[str]:
        """What is wrong with the paths that are given; the first counts."""
        return iter(())

    def tasks(self, loader: "Loader", groups: list[list]) -> list[tuple[object, list[Task]]]:
        """What is measured.

        Args:
          loader: an activations.Loader: data and networks.
          groups: for each path, a list of networks.Subject.

        Returns:
          List of (networks.Subject, its tasks).

        Raises:
          UsageError: the networks cannot be analysed.
        """
        raise NotImplementedError

    def tables(self, name: str, rows: list[dict]) -> dict[str, list[dict]]:
        """The CSV files of a run's rows, dicts of text: name without suffix -> lines; `name` is the analysis' own."""
        return {name: rows}

    def figures(self, name: str, rows: list[dict], title: str) -> dict[str, Callable]:
        """The figures of a run's rows: name without suffix -> function () -> a Figure; `title` stands above it."""
        from tf_tickets.plotting import rows as plotted

        return {name: lambda: plotted.by_density(rows, title)} if len(plotted.densities(rows)) > 1 else {}


def label(counterpart: "Subject", subject: "Subject") -> str:
    """How rows of a networks.Subject name another one: by its round, with the run's name if it is another run."""
    part = f"round_{counterpart.ticket.round:02d}"
    return part if counterpart.name == subject.name else f"{counterpart.name}/{part}"


def same_round(subject: "Subject", groups: list[list]) -> list:
    """The networks.Subjects of some groups that are of the same round as one."""
    return [network for group in groups for network in group if network.ticket.round == subject.ticket.round]
