"""Where a round starts: the kinds of `--rewind` (SCIENCE, IMP step 3)."""

import dataclasses
from collections.abc import Callable

from tf_tickets import runs
from tf_tickets.registry import STARTS


@dataclasses.dataclass(frozen=True)
class Start:
    """One kind of rewinding.

    Attributes:
      counts: what the amount after the colon counts, `epochs` or `steps`; None where the kind takes none.
      usual: the amount where the setting gives none; None where it has to.
      state: function (runs.RunFolder, round after the dense one) -> path of the state that its mask is written over.
      constant_rate: whether later rounds train at one learning rate.
      of_backbone: whether it goes back to a pretrained backbone.
    """

    counts: str | None = None
    usual: int | None = 0
    state: Callable[[runs.RunFolder, int], str] = lambda run, index: run.rewind
    constant_rate: bool = False
    of_backbone: bool = False


def _as_before(run, index):
    return run.round(index - 1).weights


STARTS.register("init")(Start())
STARTS.register("epoch")(Start(counts="epochs", usual=None))
STARTS.register("step")(Start(counts="steps", usual=None))
STARTS.register("learning_rate")(Start(counts="epochs", usual=2, state=_as_before))
STARTS.register("finetune")(Start(counts="epochs", usual=2, state=_as_before, constant_rate=True))
STARTS.register("trained")(Start(state=lambda run, index: run.round(0).weights))
STARTS.register("pretrained")(Start(of_backbone=True))


def state_of(run: runs.RunFolder, round_index: int, rewind: str) -> str:
    """The file of the state that a round's mask is written over, by the kind of rewinding.

    Args:
      run: the folder.
      round_index: of a round after the dense one, whose start is no file; then that of the rewind point.
      rewind: the setting.
    """
    return STARTS[rewind.partition(":")[0]].state(run, round_index) if round_index else run.rewind
