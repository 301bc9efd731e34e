"""`pretrain`: a self-supervised backbone (SimCLR) from images whose labels nobody needs, for `--pretrained`."""

import contextlib
import dataclasses
import os
import time

import safetensors.numpy

from tf_tickets import storage
from tf_tickets.backend import keras, tf
from tf_tickets.data import pipeline
from tf_tickets.evaluation import accuracy, neighbours
from tf_tickets.experiments import backbone, opening
from tf_tickets.experiments import plan as plans
from tf_tickets.experiments.imp import unwritable
from tf_tickets.experiments.notices import say
from tf_tickets.experiments.rounds import is_evaluated, timing
from tf_tickets.experiments.session import Session
from tf_tickets.models import projection, state
from tf_tickets.training import callbacks, contrastive, schedules
from tf_tickets.training.fit import fit

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
    rows: list


def pretrain(config, stop=lambda: False):
    """Trains or continues a SimCLR backbone (Chen et al. 2020).

    Progress, checkpoints and TensorBoard are those of a round. Every `eval_every` epochs a k-nearest-neighbour vote
    over the backbone's features tells how well they separate the classes; labels serve this monitor alone.

    Args:
      config: a Config; data, network, training and run settings count.
      stop: function asked between blocks of steps.

    Returns:
      A Result. Asked again when complete, returns at once.
    """
    config = backbone.resolved(config)
    plan = plans.resolve(config)
    folder = plan.folder("pretrain")
    refusal = unwritable(config, folder)
    if refusal and not folder.pretraining.complete:
        raise refusal
    with contextlib.nullcontext() if refusal else folder.locked():  # a finished run needs not even its lock
        opening.check(folder, [folder.pretraining])
        if not folder.pretraining.complete:
            _train(plan, folder, stop)
    return Result(folder.folder, folder.backbone, storage.read_csv(folder.pretraining.epochs))


class _Session(Session):
    """Data, network and compiled steps of a `pretrain` run."""

    def prepare(self, model):
        """The backbone with a projection in place of the head."""
        projected = self.normalising(projection.add(model, self.plan.config.run.seed))
        features = keras.Model(projected.input, projected.get_layer("features").output)
        self._features = tf.function(
            lambda images: features(images, training=False), reduce_retracing=True, autograph=False
        )
        return projected

    def objective(self):
        """SimCLR's."""
        return contrastive.simclr(self.plan.config.training.temperature)

    def load(self, augmenter):
        """Two views of every image."""
        return pipeline.two_views(self.data_set, augmenter)

    def neighbour_accuracy(self, stop):
        """How well neighbours in feature space share a class: training images vote over test images."""
        return neighbours.accuracy(*self._labelled(self.train, stop), *self._labelled(self.test, stop))

    def _labelled(self, images, stop):
        # Every k-th: the splits' order is that of the data set, whose classes are mixed.
        chosen = slice(None, None, -(-len(images) // _MONITORED))
        part = pipeline.Images(images.pixels[chosen], images.labels[chosen], images.ids[chosen])
        return accuracy.logits_of(lambda x: self._features(x).numpy(), part, self.data_set, stop=stop), part.labels


def _train(plan, folder, stop):
    opening.heed(stop)
    session, mine, identity = _Session(plan), folder.pretraining, folder.name
    plan = session.plan
    opening.open_folder(folder, session, "pretrain")
    opening.heed(stop)
    saved = callbacks.load_checkpoint(mine, identity, say)
    step, rows, partial, path = 0, [], None, None
    if saved:
        path, arrays, facts = saved
        callbacks.restore(session.steps, arrays)
        step, rows = facts["step"], facts["rows"]
        partial = arrays["partial"] if len(arrays["partial"]) else None
    folder.note_attempt(0, step)
    checkpoint = callbacks.Checkpoint(mine, session.steps, identity, rows)
    if path:
        checkpoint.continue_after(path)
    began, started, first_step = time.time(), time.monotonic(), step
    if step < plan.last_step or partial is not None:
        rows = rows + fit(
            steps=session.steps, batches=session.batches(0, step, plan.last_step), steps_per_epoch=plan.steps_per_epoch,
            first_step=step, last_step=plan.last_step, partial=partial, stop=stop,
            learning_rate=lambda epoch: schedules.learning_rate(plan.training, epoch),
            callbacks=[*_observers(plan, folder, rows, step), checkpoint],
            evaluate=lambda epoch, last: (
                {"neighbour_accuracy": session.neighbour_accuracy(stop)}
                if is_evaluated(plan, 0, epoch, last) else {}
            ),
        )  # fmt: skip
    _write(folder, session, rows, timing(plan, began, time.monotonic() - started, plan.last_step - first_step))


def _observers(plan, folder, rows, step):
    run, observers = plan.config.run, []
    if run.tensorboard:
        observers.append(callbacks.TensorBoard(os.path.join(folder.tensorboard, "pretraining"), rows))
    observers.append(callbacks.Progress(
        run.progress, title="pretraining", first_step=step, last_step=plan.last_step,
        steps_per_epoch=plan.steps_per_epoch, images_per_epoch=plan.train_images, steps_after=0,
    ))  # fmt: skip
    return observers


def _write(folder, session, rows, seconds):
    """The backbone, then the files of a round; the summary, last, makes the run complete."""
    mine, arrays = folder.pretraining, projection.backbone(state.torch_state(session.steps.model))
    storage.write_bytes(folder.backbone, safetensors.numpy.save(arrays))
    storage.write_csv(mine.epochs, rows, COLUMNS)
    storage.write_json(mine.timing, seconds)
    last = rows[-1]
    mine.complete_with({
        "epochs": len(rows), "train_loss": last["train_loss"], "train_accuracy": last["train_accuracy"],
        "neighbour_accuracy": last["neighbour_accuracy"], "training_images": len(session.train),
        "backbone_sha256": storage.file_digest(folder.backbone),
    }, folder.name)  # fmt: skip
