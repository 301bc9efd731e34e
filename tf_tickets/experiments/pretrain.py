"""`pretrain`: a self-supervised backbone (SimCLR) from images whose labels nobody needs, for `--pretrained`."""

from __future__ import annotations

import contextlib
import dataclasses
import typing
from collections.abc import Callable

import safetensors.numpy

from tf_tickets import runs, storage
from tf_tickets.backend import keras, tf
from tf_tickets.data import from_python, pipeline
from tf_tickets.evaluation import accuracy, neighbours
from tf_tickets.experiments import backbone, opening
from tf_tickets.experiments.imp import unwritable
from tf_tickets.experiments.plan import resolve
from tf_tickets.experiments.round import Round
from tf_tickets.experiments.rounds import run_rounds
from tf_tickets.experiments.session import Session
from tf_tickets.models import projection, state
from tf_tickets.settings.config import Config
from tf_tickets.training import contrastive

if typing.TYPE_CHECKING:
    from tf_tickets.data.image_arrays import ImageArrays
    from tf_tickets.data.table import PictureTable

COLUMNS = ("epoch", "learning_rate", "train_loss", "train_accuracy", "neighbour_accuracy")

# Images of either part that the monitor looks at: enough for half a per cent, and seconds on a laptop.
_MONITORED = 5000


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished backbone.

    Attributes:
      folder: of the run.
      backbone: path of the .safetensors that `--pretrained` takes.
      rows: one dict per epoch, with `COLUMNS`.
    """

    folder: str
    backbone: str
    rows: list[dict]


def pretrain(
    config: Config, stop: Callable[[], bool] = lambda: False, *, data: ImageArrays | PictureTable | None = None
) -> Result:
    """Trains or continues a SimCLR backbone (Chen et al. 2020).

    Progress, checkpoints and TensorBoard are those of a round. Every `eval_every` epochs a k-nearest-neighbour vote
    over the backbone's features tells how well they separate the classes; labels serve this monitor alone.

    Args:
      config: data, network, training and run settings count.
      stop: function asked between blocks of steps.
      data: images of the program's own, of `tt.data.from_arrays`, `from_dataset` or `from_dataframe`; None: those that
        the config names. Test images are not trained on. Labels of two classes or more are asked for all the same:
        where there are none, give 0 and 1 in turn, and the vote says nothing.

    Returns:
      A Result. Asked again when complete, returns at once.

    Raises:
      UsageError, StateError, LockedError, DivergedError, StopRequested: see `errors`.
    """
    config = backbone.resolved(from_python.configured(config, data))
    plan = resolve(config)
    folder = plan.folder("pretrain")
    refusal = unwritable(config, folder)
    if refusal and not folder.pretraining.complete:
        raise refusal
    with contextlib.nullcontext() if refusal else folder.locked():  # a finished run needs not even its lock
        opening.check(folder, [folder.pretraining])
        if not folder.pretraining.complete:
            run_rounds(plan, folder, [0], _round, command="pretrain", stop=stop, session_class=_Session)
    return Result(folder.folder, folder.backbone, storage.read_csv(folder.pretraining.epochs))


class _Session(Session):
    """Data, network and compiled steps of a `pretrain` run."""

    def prepare(self, model: keras.Model) -> keras.Model:
        """The backbone with a projection in place of the head."""
        projected = self.normalising(projection.add(model, self.plan.config.run.seed))
        features = keras.Model(projected.input, typing.cast(keras.layers.Layer, projected.get_layer("features")).output)
        self._features = tf.function(
            lambda images: features(images, training=False), reduce_retracing=True, autograph=False
        )
        self.initial = state.get_state(projected)
        return projected

    def objective(self) -> Callable:
        """SimCLR's."""
        return contrastive.simclr(self.plan.config.training.temperature)

    def load(self, augmenter: Callable) -> Callable:
        """Two views of every image."""
        return pipeline.two_views(self.data_set, augmenter)

    def evaluations(self, stop: Callable[[], bool]) -> dict[str, float]:
        """How well neighbours in feature space share a class: training images vote over test images."""
        accuracy_of_votes = neighbours.accuracy(*self._labelled(self.train, stop), *self._labelled(self.test, stop))
        return {"neighbour_accuracy": accuracy_of_votes}

    def began(self, run: runs.RunFolder) -> None:
        """Nothing: there are no rounds to compare."""

    def ended(self, run: runs.RunFolder, index: int) -> None:
        """Nothing, likewise."""

    def finish(self, run: runs.RunFolder, training_round: Round, rows: list[dict], timed: dict) -> None:
        """Writes the backbone, then the files of a round; the summary, last, makes the run complete."""
        folder, arrays = training_round.folder, projection.backbone(state.torch_state(self.steps.model))
        storage.write_bytes(run.backbone, safetensors.numpy.save(arrays))
        storage.write_csv(folder.epochs, rows, COLUMNS)
        storage.write_json(folder.timing, timed)
        last = rows[-1]
        folder.complete_with({
            "epochs": len(rows), "train_loss": last["train_loss"], "train_accuracy": last["train_accuracy"],
            "neighbour_accuracy": last["neighbour_accuracy"], "training_images": len(self.train),
            "backbone_sha256": storage.file_digest(run.backbone),
        }, run.name)  # fmt: skip

    def _labelled(self, images, stop):
        # Every k-th: the splits' order is that of the data set, whose classes are mixed.
        chosen = slice(None, None, -(-len(images) // _MONITORED))
        part = images[chosen]
        return accuracy.logits_of(lambda x: self._features(x).numpy(), part, self.data_set, stop=stop), part.labels


def _round(session, run, index):
    """The one round of a `pretrain` run."""
    plan = session.plan
    return Round(
        run.pretraining, identity=run.name, title="pretraining", first_step=0, last_step=plan.last_step,
        training=plan.training, start=lambda: session.initial,
    )  # fmt: skip
