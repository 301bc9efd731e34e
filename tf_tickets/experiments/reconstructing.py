"""The start of a round with `--rewind=reconstructed`: the weights left, fitted to the dense network's layers."""

import os

import numpy as np

from tf_tickets import runs, seeds, storage
from tf_tickets.backend import tf
from tf_tickets.data import pipeline
from tf_tickets.experiments.derivatives import write
from tf_tickets.experiments.session import Session
from tf_tickets.notices import say
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.pruning import reconstruction


def keep(session: Session, run: runs.RunFolder, index: int) -> None:
    """Fits the start of a round, unless it is there, and keeps it in the round's folder.

    Args:
      session: of the run.
      run: the folder, in which the rounds before are complete and the round's masks are kept.
      index: of a round after the dense one.
    """
    path = run.round(index).start
    if os.path.exists(path):
        return
    before, masks = (storage.read_arrays(of) for of in (run.round(index - 1).weights, run.round(index).mask))
    dense, pruned = session.copied("float32"), session.copied("float32")
    write(dense, storage.read_arrays(run.round(0).weights), session.plan.dense_masks)
    write(pruned, before, masks)
    images = _images(session, reconstruction.images_that_fit(dense))
    say(f"round {index}: each layer's weights are fitted to the dense network's outputs, of {len(images)} images")
    kernels = reconstruction.reconstruct(pruned, dense, images)
    fitted = {f"{name}/kernel": kernel for name, kernel in kernels.items()}
    storage.write_arrays(path, pruning_masks.masked_state(before, masks) | fitted)


def _images(session, most):
    """Training images that the run's seed draws, all where no more than `most` are there, as evaluation sees them."""
    train, data_set = session.train, session.data_set
    draws = seeds.spread(seeds.fold("reconstruction", session.plan.config.run.seed), train.ids)
    chosen = train.part(np.sort(np.argsort(draws, kind="stable")[:most]))
    return tf.constant(data_set.normalise(pipeline.evaluation_pixels(chosen, slice(None), data_set)))
