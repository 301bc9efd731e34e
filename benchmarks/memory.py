"""Peak memory of reading a folder of pictures and one epoch of its input pipeline, by the number of pictures.

python benchmarks/memory.py [--counts=1000,10000,100000] [--kind=small|crops] [--bound=MIB] [--folder=DIR]; the
pictures, JPEG of 64x64, are made in a temporary folder and removed. `small` are used as they are; `crops`, every other
one 64x72, stay encoded and are seen through crops of 224 pixels, as ImageNet's are. `--bound` replaces lazy.IN_MEMORY,
above which pictures stay on disk: 0 for always, -1 for never. Every count is measured in a process of its own.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

CLASSES = 10


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


def measure(root, bound):
    """Reads the folder and runs one epoch of batches; prints one JSON line."""
    from tf_tickets import augment, backend
    from tf_tickets.data import lazy, pipeline, sources
    from tf_tickets.settings import config as configs

    lazy.IN_MEMORY = {None: lazy.IN_MEMORY, -1: 2**62}.get(bound, (bound or 0) * 2**20)
    config = configs.Config.from_values(dataset="folder", data_dir=root, progress="none")
    devices = backend.start(config.run)
    backend.tf.constant(0)
    peaks = {"start": peak()}
    began = time.perf_counter()
    source = sources.load("folder", root)
    peaks |= {"looked at": peak(), "seconds to look": time.perf_counter() - began}
    positions = np.arange(len(source.ids))
    began = time.perf_counter()
    images = pipeline.Images(source.images(positions, lazy=True), source.labels, positions)
    data_set = pipeline.measured(source.data_set, images)
    peaks |= {"measured": peak(), "seconds to measure": time.perf_counter() - began}
    shape = data_set.image_shape if data_set.encoded else None
    load = pipeline.supervised(data_set, augment.augmenter(augment.resolve("base", data_set), shape))
    began = time.perf_counter()
    pipelined = pipeline.TrainingBatches(images, load=load, batch_size=100, order_seed=0, devices=devices)
    batches = pipelined.iterate(round_index=0, first_step=0, epochs=1)
    seen = sum(int(batch[1].shape[0]) for batch in batches)
    seconds = time.perf_counter() - began
    kept = sum(os.path.getsize(path) for path in pathlib.Path(root).glob("*/*"))
    held = "disk" if isinstance(images.pixels, lazy.Pixels) else "memory"
    peaks |= {"epoch": peak(), "images": seen, "images/s": seen / seconds, "files": kept / 2**20, "held in": held}
    print(json.dumps(peaks))


def main():
    """Prints one line for each number of pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--counts", default="1000,10000,100000")
    parser.add_argument("--kind", choices=("small", "crops"), default="small")
    parser.add_argument("--bound", type=int, help="MiB held in memory; unset: the project's own")
    parser.add_argument("--folder", help="where the pictures are made; unset: the system's temporary folder")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        return measure(given.measure, given.bound)
    bound = [] if given.bound is None else [f"--bound={given.bound}"]
    print("pictures  files MiB  held in  start  looked at  measured  epoch: peak MiB  images/s")
    for count in map(int, given.counts.split(",")):
        with tempfile.TemporaryDirectory(dir=given.folder) as root:
            make(pathlib.Path(root), count, given.kind)
            words = [sys.executable, __file__, f"--measure={root}", *bound]
            answer = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        peaks = json.loads(answer.splitlines()[-1])
        print(
            f"{count:8,d}  {peaks['files']:9.0f}  {peaks['held in']:>7s}  {peaks['start']:5.0f}  "
            f"{peaks['looked at']:9.0f}  {peaks['measured']:8.0f}  {peaks['epoch']:15.0f}  {peaks['images/s']:8,.0f}",
            flush=True,
        )
    return None


if __name__ == "__main__":
    main()
