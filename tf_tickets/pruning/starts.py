"""Where a round starts: the kinds of `--rewind` (docs/science.md, Where a round starts)."""

from tf_tickets import runs
from tf_tickets.registry import STARTS


class Start:
    """One kind of rewinding.

    Attributes:
      counts: what the amount after the colon counts, `epochs` or `steps`; None where the kind takes none.
      usual: the amount where the setting gives none; None where it has to.
      constant_rate: whether later rounds train at one learning rate.
      of_backbone: whether it goes back to a pretrained backbone.
      of_trained: whether it goes back to weights that a whole round has trained.
      reconstructs: whether these are fitted to the dense network (`experiments.reconstructing`).
    """

    counts: str | None = None
    usual: int | None = 0
    constant_rate: bool = False
    of_backbone: bool = False
    of_trained: bool = False
    reconstructs: bool = False

    def state(self, run: runs.RunFolder, round_index: int) -> str:
        """The path of the state that the mask of a round after the dense one is written over."""
        return run.rewind


@STARTS.register("init")
class Initial(Start):
    """Before the first step."""


@STARTS.register("epoch")
class Epoch(Start):
    """The end of an epoch of round 0."""

    counts, usual = "epochs", None


@STARTS.register("step")
class Step(Start):
    """A step of round 0."""

    counts, usual = "steps", None


@STARTS.register("learning_rate")
class LearningRate(Start):
    """The weights stay, the schedule goes back."""

    counts, usual, of_trained = "epochs", 2, True

    def state(self, run: runs.RunFolder, round_index: int) -> str:
        """What the round before ended with."""
        return run.round(round_index - 1).weights


@STARTS.register("finetune")
class FineTune(LearningRate):
    """The weights stay, and train on at one learning rate."""

    constant_rate = True


@STARTS.register("reconstructed")
class Reconstructed(LearningRate):
    """The weights left are fitted to give what the dense network's layers give, and the schedule goes back."""

    reconstructs = True

    def state(self, run: runs.RunFolder, round_index: int) -> str:
        """What was fitted for the round."""
        return run.round(round_index).start


@STARTS.register("trained")
class Trained(Start):
    """The weights that round 0 ended with, under the whole schedule."""

    of_trained = True

    def state(self, run: runs.RunFolder, round_index: int) -> str:
        """What round 0 ended with."""
        return run.round(0).weights


@STARTS.register("pretrained")
class Pretrained(Start):
    """The backbone as it was loaded, and the head as first drawn."""

    of_backbone = True


def state_of(run: runs.RunFolder, round_index: int, rewind: str) -> str:
    """The file of the state that a round's mask is written over, by the kind of rewinding.

    Args:
      run: the folder.
      round_index: of a round after the dense one, whose start is no file; then that of the rewind point.
      rewind: the setting.
    """
    return STARTS[rewind.partition(":")[0]].state(run, round_index) if round_index else run.rewind
