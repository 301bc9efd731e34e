"""Share of a training step that the input pipeline of photographs takes, by CPU time.

    python benchmarks/photographs.py [--model=mobilenet_v2] [--width=32] [--batch=20] [--rounds=5] [--out=FILE.json]

The pictures, 500 JPEG of 375 to 500 pixels, are made in a temporary folder. The processor's seconds of whole epochs of
the pipeline alone, and of steps on one batch that is made once, are measured in turn in one process, for each number of
cores in a process of its own: other programs on the machine change them less than they change the time on the clock. A
share is the median, over the rounds, of the ratio. `decoded` says whether pictures are decoded once or in every epoch.
"""

import argparse
import dataclasses
import os
import pathlib
import statistics
import tempfile
import time

import bench
import numpy as np

CLASSES, COUNT = 5, 500


def make(root):
    """Writes the pictures into class folders: smooth parts, edges and noise, as photographs have them."""
    from PIL import Image

    for number in range(COUNT):
        draws = np.random.default_rng(number)
        sides = draws.permutation([500, draws.integers(375, 501)])
        smooth = np.asarray(Image.fromarray(draws.integers(0, 256, (9, 9, 3), np.uint8)).resize(sides), float)
        edges = Image.fromarray(draws.integers(0, 256, (25, 25, 3), np.uint8)).resize(sides, Image.Resampling.NEAREST)
        pixels = 0.7 * smooth + 0.3 * np.asarray(edges) + draws.normal(0, 6, smooth.shape)
        folder = root / f"class_{number % CLASSES}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number}.jpg", quality=90)


class Timed:
    """The engine: pipelines and steps of one size of images, asked for by name."""

    def __init__(self, root, cores, model, width, batch):
        # The last cores, for the first is the one that long runs are given.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
        from tf_tickets import backend
        from tf_tickets.data import pipeline, sources
        from tf_tickets.settings import config

        self.tf, self.model, self.width, self.batch = backend.tf, model, width, batch
        self.settings = config.Config.from_values(dataset="folder", data_dir=root, model=model, progress="none")
        self.devices = backend.start(self.settings.run, batch_size=batch)
        source = sources.load("folder", root)
        positions = np.arange(len(source.ids))
        self.images = pipeline.Images.of(source, positions)
        self.data_set = pipeline.measured(source.data_set, self.images)
        self.made = {}

    def answer(self, request):
        """The processor's seconds per image of `pipeline SIZE POLICY DECODED`, or of `step SIZE`."""
        if request not in self.made:
            kind, size, *rest = request.split()
            data_set = dataclasses.replace(self.data_set, image_shape=(int(size), int(size), 3))
            self.made[request] = {"pipeline": self.pipeline, "step": self.steps}[kind](data_set, *rest)
            self.made[request]()
        began = time.process_time()
        return self.made[request]() / (time.process_time() - began)

    def pipeline(self, data_set, policy, decoded):
        """A function that goes through an epoch and gives the number of its images."""
        from tf_tickets import augment
        from tf_tickets.data import pipeline

        load = pipeline.supervised(
            data_set, augment.augmenter(augment.resolve(policy, data_set), data_set.image_shape)
        )  # fmt: skip
        batches = pipeline.TrainingBatches(
            self.images, load=load, batch_size=self.batch, order_seed=0, devices=self.devices,
            channels=3 if decoded == "once" else None,
        )  # fmt: skip
        return lambda: sum(len(targets) for _, _, targets in batches.iterate(0, 0, 1))

    def steps(self, data_set):
        """A function that takes four steps and gives the number of their images."""
        from tf_tickets.models import builder
        from tf_tickets.training import losses, objectives, optimizers
        from tf_tickets.training.steps import Steps

        facts = {"classes": CLASSES, "image_shape": data_set.image_shape, "stem": "full", "width": self.width}
        model = builder.build(self.model, **facts)
        objective = objectives.supervised(losses.build("cross_entropy", None))
        steps = Steps(model, optimizers.build(self.settings.training, "float32"), self.devices, objective)
        pixels = self.tf.random.stateless_normal((self.batch, *data_set.image_shape), (0, 0))
        one_hot = self.tf.one_hot(np.arange(self.batch) % CLASSES, CLASSES)
        batch = (self.tf.constant(1.0 / self.batch), pixels, one_hot)
        iterator = iter(self.tf.data.Dataset.from_tensors(batch).repeat())

        def run():
            steps.train(iterator, 4, 0.1)
            return 4 * self.batch

        return run


def main():
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="160,224")
    parser.add_argument("--cores", default="1,2")
    parser.add_argument("--out")
    parser.add_argument("--serve", nargs=2, metavar=("FOLDER", "CORES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        engine = Timed(given.serve[0], int(given.serve[1]), given.model, given.width, given.batch)
        return bench.serve(engine.answer)
    facts, numbers, lines = bench.machine() | {"model": given.model, "width": given.width, "batch": given.batch}, [], []
    print(bench.header(facts))
    with tempfile.TemporaryDirectory() as root:
        make(pathlib.Path(root))
        for cores in given.cores.split(","):
            words = [__file__, "--serve", root, cores, *(f"--{n}={facts[n]}" for n in ("model", "width", "batch"))]
            engine = bench.Engine(words)
            for size in given.sizes.split(","):
                cases = [(policy, decoded) for policy in ("base", "rand") for decoded in ("once", "every epoch")]
                asked = {case: f"pipeline {size} {case[0]} {case[1].split()[0]}" for case in cases}
                asked |= {"step": f"step {size}"}
                rates = bench.interleaved(dict.fromkeys(asked, engine), asked, given.rounds)
                step = 1e3 / statistics.median(rates["step"])
                for policy, decoded in cases:
                    of_pipeline = rates[policy, decoded]
                    share = bench.ratio(rates["step"], of_pipeline)
                    milliseconds = 1e3 / statistics.median(of_pipeline)
                    numbers.append({
                        "cores": int(cores), "size": int(size), "policy": policy, "decoded": decoded,
                        "pipeline_ms": milliseconds, "step_ms": step, "share": share,
                    })  # fmt: skip
                    low, high = (100 * part for part in share["quartiles"])
                    lines.append((
                        cores, size, policy, decoded, f"{milliseconds:.2f}", f"{step:.1f}",
                        f"{100 * share['median']:.1f} % [{low:.1f}, {high:.1f}]",
                    ))  # fmt: skip
            engine.close()
    titles = ("cores", "size", "policy", "decoded", "pipeline ms/image", "step ms/image", "share")
    bench.rows(titles, lines)
    bench.record("photographs", facts, {"rows": numbers}, given.out)
    return None


if __name__ == "__main__":
    main()
