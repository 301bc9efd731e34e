"""What came of a run of imp or train: which rounds are there, and which network is exported."""

import dataclasses
import functools
import typing

from tf_tickets import runs
from tf_tickets.experiments import rival

if typing.TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished run.

    Attributes:
      folder: its path.
      rounds: number of complete rounds.
      chosen: the round that is chosen, whose ticket is exported unless the rival is.
      refits: whether the ticket is of the refit, on held-out images too.
      verdict: on the chosen round and its dense rival, where there is one.
      exports_rival: whether the ticket is the rival, of density 100 %.
    """

    folder: str
    rounds: int
    chosen: int
    refits: bool = False
    verdict: rival.Verdict | None = None
    exports_rival: bool = False

    @functools.cached_property
    def table(self) -> "pandas.DataFrame":
        """A pandas frame, one row per round."""
        import pandas

        return pandas.DataFrame(runs.RunFolder(self.folder).summaries()[: self.rounds])

    @property
    def best(self) -> runs.RoundFolder:
        """The exported round's folder; `Ticket.load(run.best.folder)` loads it."""
        return self.home.round(self.exported)

    @property
    def home(self) -> runs.RunFolder:
        """The folder that the exported round is of: the run's, or one inside."""
        return self.home_in(runs.RunFolder(self.folder))

    def home_in(self, run: runs.RunFolder) -> runs.RunFolder:
        """The same, of a RunFolder of the run that may hold its lock."""
        run = run.refit if self.refits else run
        return run.rival if self.exports_rival else run

    @property
    def exported(self) -> int:
        """The number of the exported round in `home`."""
        return 0 if self.exports_rival else self.chosen
