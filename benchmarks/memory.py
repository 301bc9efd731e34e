"""Peak memory of reading a folder of pictures and one epoch of its input pipeline, by the number of pictures.

    python benchmarks/memory.py [--counts=1000,10000] [--kinds=small,crops] [--folder=DIR] [--out=FILE.json]

The pictures, JPEG of 64x64, are made in a temporary folder and removed. `small` are used as they are; `crops`, every
other one 64x72, stay encoded and are seen through crops of 224 pixels, as ImageNet's are. lazy.IN_MEMORY, the bytes
above which pictures stay on disk, is replaced: by 0 for `disk`, by more than there are for `memory` (`small` alone).
Every row is measured in a process of its own. Speed is in images per second of a core, by the processor time of all
threads, which other programs on the machine change less than they change the time on the clock.
"""

import argparse
import concurrent.futures
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import bench
import numpy as np

CLASSES = 10
RECORD = bench.ROOT / "results" / "multi_worker" / "memory.json"
COUNTS = {"small": "1000,10000,100000", "crops": "1000,10000"}
HELD = {"small": ("disk", "memory"), "crops": ("disk",)}  # by the kind of the pictures


def make(root, count, kind):
    """Writes `count` different pictures into class folders."""
    for label in range(CLASSES):
        (root / f"class_{label}").mkdir(parents=True)

    def some(numbers):
        from PIL import Image

        for number in numbers:
            width = 72 if kind == "crops" and number % 2 else 64
            coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
            picture = Image.fromarray(coarse).resize((width, 64), Image.Resampling.BICUBIC)
            picture.save(root / f"class_{number % CLASSES}" / f"{number:06d}.jpg", quality=85)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(some, np.array_split(np.arange(count), 20)))


def peak():
    """The process's peak resident memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(root, held):
    """Reads the folder and runs one epoch of batches; prints one JSON line, MiB and images."""
    from tf_tickets import augment, backend
    from tf_tickets.data import lazy, pipeline, sources
    from tf_tickets.settings import config as configs

    lazy.IN_MEMORY = {"disk": 0, "memory": 2**62}[held]
    config = configs.Config.from_values(dataset="folder", data_dir=root, progress="none")
    devices = backend.start(config.run)
    backend.tf.constant(0)
    row = {"start": peak()}
    source = sources.load("folder", root)
    row |= {"looked_at": peak()}
    positions = np.arange(len(source.ids))
    images = pipeline.Images(source.images(positions, lazy=True), source.labels, positions)
    data_set = pipeline.measured(source.data_set, images)
    row |= {"measured": peak()}
    shape = data_set.image_shape if data_set.encoded else None
    load = pipeline.supervised(data_set, augment.augmenter(augment.resolve("base", data_set), shape))
    pipelined = pipeline.TrainingBatches(images, load=load, batch_size=100, order_seed=0, devices=devices)
    began = time.process_time()
    batches = pipelined.iterate(round_index=0, first_step=0, epochs=1)
    seen = sum(int(batch[1].shape[0]) for batch in batches)
    seconds = time.process_time() - began
    assert seen == len(positions) and isinstance(images.pixels, lazy.Pixels) == (held == "disk")
    pixels = 0 if data_set.encoded else len(positions) * int(np.prod(data_set.image_shape)) / 2**20
    print(json.dumps(row | {"epoch": peak(), "pixels": pixels, "images_per_core_second": seen / seconds}))


def main():
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", help="numbers of pictures; unset: up to 100,000 small ones, 10,000 for crops")
    parser.add_argument("--kinds", default="small,crops")
    parser.add_argument("--folder", help="where the pictures are made; unset: the system's temporary folder")
    parser.add_argument("--out")
    parser.add_argument("--measure", nargs=2, metavar=("FOLDER", "HELD"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        return measure(*given.measure)
    facts, rows = bench.machine(), []
    print(bench.header(facts))
    for kind in given.kinds.split(","):
        for count in map(int, (given.counts or COUNTS[kind]).split(",")):
            with tempfile.TemporaryDirectory(dir=given.folder) as root:
                make(pathlib.Path(root), count, kind)
                for held in HELD[kind]:
                    words = [sys.executable, __file__, "--measure", root, held]
                    answer = subprocess.run(
                        words, check=True, stdout=subprocess.PIPE, text=True, env=bench.environment()
                    ).stdout  # fmt: skip
                    rows.append({"kind": kind, "pictures": count, "held": held} | json.loads(answer.splitlines()[-1]))
                    bench.record("memory", facts, {"rows": rows}, given.out or RECORD)
    titles = ("start", "looked_at", "measured", "epoch", "images_per_core_second")
    bench.rows(("kind", "pictures", "kept in", *titles), [
        (row["kind"], f"{row['pictures']:,}", row["held"], *(f"{row[title]:,.0f}" for title in titles)) for row in rows
    ])  # fmt: skip
    return None


if __name__ == "__main__":
    main()
