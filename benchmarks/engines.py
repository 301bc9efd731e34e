"""Engines of benchmarks/steps.py: `python benchmarks/engines.py KIND WIDTH`; each line is a number of steps.

dense          the same network, never wrapped, on one cached batch
pruned         the wrapped network under masks, on one cached batch; `any_order` the same without determinism,
               `direct` with every convolution computed as the sum of its products, `in_turn` with one operation at a
               time, as batches above backend.SMALL_BATCH are trained
epochs         whole epochs of 500 images through the input pipeline, with augmentation base, observers of a run and
               its checkpoints; `epochs_rand` with rand, `epochs_none` without
evaluation     logits of batches of 500
torch          PyTorch under masks in its default layout; `torch_last` in channels-last
convolutions   the convolutions of a step and their gradients, one after another, nothing else
product        a product of two 4096 x 4096 float32 matrices, one per step: the machine's peak
"""

import dataclasses
import os
import sys
import tempfile
import time

import bench
import numpy as np

IMAGES, DENSITY = 500, 0.2


def pictures(count):
    """Random pixels and labels."""
    draws = np.random.default_rng(0)
    return draws.integers(0, 256, (count, 32, 32, 3)).astype(np.uint8), draws.integers(0, 10, count)


class Ours:
    """Steps of our own network."""

    def __init__(self, kind, width):
        from tf_tickets import backend
        from tf_tickets.models import builder, winograd
        from tf_tickets.pruning import masks, wrapping
        from tf_tickets.registry import DATASETS
        from tf_tickets.settings import config
        from tf_tickets.training import losses, objectives, optimizers
        from tf_tickets.training.steps import Steps

        self.tf = backend.tf
        settings = config.Config.from_values(
            dataset="cifar10", images=IMAGES, width=width, deterministic=kind != "any_order", epochs=10**6,
            strategy="one_device",
        )  # fmt: skip
        self.data_set = DATASETS["cifar10"].facts
        self.devices = backend.start(settings.run, batch_size=None if kind == "in_turn" else bench.BATCH)
        if kind == "direct":
            winograd.pays = lambda *_: False
        model = builder.build("resnet18", classes=10, image_shape=(32, 32, 3), width=width)
        if kind != "dense":
            names = [layer.name for layer in model.layers if hasattr(layer, "kernel")]
            model = wrapping.wrap(model, names)
            kernels = {name: np.asarray(v) for name, v in wrapping.kernel_variables(model).items()}
            wrapping.write_masks(model, masks.global_magnitude(kernels, rate=1.0 - DENSITY))
        optimizer = optimizers.build(settings.training, "float32")
        loss = losses.build("cross_entropy", None)
        self.steps = Steps(model, optimizer, self.devices, objectives.supervised(loss))

    def cached(self):
        """A function steps -> seconds on one batch that is made once."""
        pixels, labels = pictures(bench.BATCH)
        images = self.data_set.normalise(self.tf.constant(pixels, self.tf.float32))
        batch = (self.tf.constant(1.0 / bench.BATCH), images, self.tf.one_hot(labels, 10))
        iterator = iter(self.tf.data.Dataset.from_tensors(batch).repeat())
        return lambda count: self.steps.train(iterator, count, 0.1)

    def epochs(self, policy):
        """A function steps -> seconds of whole epochs as a run trains them."""
        from tf_tickets import augment, runs
        from tf_tickets.data import pipeline
        from tf_tickets.training.checkpoints import CheckpointWriter
        from tf_tickets.training.fit import Span, fit
        from tf_tickets.training.tensorboard import TensorBoard

        pixels, labels = pictures(IMAGES)
        images = pipeline.Images(pixels, labels.astype(np.int64), np.arange(IMAGES))
        load = pipeline.supervised(self.data_set, augment.augmenter(augment.resolve(policy, self.data_set)))
        batches = pipeline.TrainingBatches(
            images, load=load, batch_size=bench.BATCH, order_seed=0, devices=self.devices
        ).iterate(round_index=0, first_step=0, epochs=10**6)  # fmt: skip
        folder = runs.RunFolder(tempfile.mkdtemp())
        os.makedirs(folder.round(0).folder)
        board = TensorBoard(os.path.join(folder.folder, "tensorboard"), [])
        saver = CheckpointWriter(folder.round(0), self.steps, "benchmark", [])
        per_epoch, done, left = IMAGES // bench.BATCH, [0], [time.monotonic()]

        def run(count):
            assert count % per_epoch == 0, f"whole epochs have {per_epoch} steps"
            first, last = done[0], done[0] + count
            saver._saved += time.monotonic() - left[0]  # while others ran nothing was trained that is to be saved
            fit(self.steps, batches, Span(first, last, per_epoch, lambda epoch: 0.1), observers=_unending(board, saver))
            done[0], left[0] = last, time.monotonic()

        return run

    def evaluation(self):
        """A function batches -> seconds of logits."""
        images = np.zeros((500, 32, 32, 3), np.float32)
        return lambda count: [self.steps.logits(images) for _ in range(count)]


def _unending(board, saver):
    """Observers to which a request is no round: no step is its last, whose checkpoint is always saved, and no end."""
    from tf_tickets.observers import Observer

    class Unending(Observer):
        def epoch_ends(self, row):
            board.epoch_ends(row)
            saver.epoch_ends(row)

        def block_ends(self, block):
            saver.block_ends(dataclasses.replace(block, last=False))

    return [Unending()]


def timed(function):
    """Seconds of a call."""

    def call(count):
        start = time.perf_counter()
        function(count)
        return time.perf_counter() - start

    return call


def build(kind, width, threads):
    """The function steps -> seconds of one engine."""
    if kind.startswith("torch"):
        import peer

        pixels, labels = pictures(bench.BATCH)
        images = (pixels / 127.5 - 1.0).astype(np.float32)
        return peer.stepper(width, images, labels.astype(np.int64), DENSITY, kind == "torch_last", threads)
    import tf_tickets.backend

    tf = tf_tickets.backend.tf
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    if kind == "product":
        matrix = tf.random.stateless_normal([bench.SIDE, bench.SIDE], [0, 0])
        product = tf.function(lambda: tf.matmul(matrix, matrix))
        return timed(lambda count: [product().numpy()[0, 0] for _ in range(count)])
    if kind == "convolutions":
        import convolutions

        tf.config.experimental.enable_op_determinism()
        return timed(convolutions.step(width))
    ours = Ours(kind, width)
    if kind.startswith("epochs"):
        return timed(ours.epochs(kind.partition("_")[2] or "base"))
    return timed(ours.evaluation() if kind == "evaluation" else ours.cached())


if __name__ == "__main__":
    run = build(sys.argv[1], int(sys.argv[2]), len(os.sched_getaffinity(0)))
    bench.serve(lambda line: run(int(line)), {"memory": None})
