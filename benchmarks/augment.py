"""Images per second of the augmentation presets against Pillow in processes and keras-cv's RandAugment.

    python benchmarks/augment.py [--rounds=7] [--seconds=1.5] [--profile]

Everything runs in turn in one process tree, on the same images, batches of 100 at 32x32, all cores for each. A row
prints the median over the rounds; a ratio is the median of the ratios inside each round. --profile prints microseconds
per image of every operation on one core instead, ours beside keras-cv's transform of the same name.
"""

import argparse
import functools
import multiprocessing
import os
import statistics
import time

import numpy as np
import pillow_pipeline

BATCH = 100
IMAGES = 5000
PRESETS = ("base", "contrast", "rand", "auto")
OURS_ALONE = ("none", "custom")


def pictures(count=IMAGES):
    """Smooth random uint8 pictures: sums of a few waves, so that no operation sees only noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:32, 0:32] / 32.0
    waves = rng.uniform(-6, 6, (count, 4, 3, 3)).astype(np.float32)
    value = sum(
        np.sin(2 * np.pi * (waves[:, k, 0, None, None] * x[..., None] + waves[:, k, 1, None, None] * y[..., None])
               + waves[:, k, 2, None, None])
        for k in range(4)
    )  # fmt: skip
    return np.clip(127.5 + 50 * value, 0, 255).astype(np.uint8)


def endless(dataset):
    """An iterator that never ends, warmed up."""
    iterator = iter(dataset.repeat().prefetch(2))
    for _ in range(2 * IMAGES // BATCH // 5):
        next(iterator)
    return lambda: next(iterator)


def ours(tf, policy, images):
    """The pipeline of training: batches of pixels and keys, augmented by `tf_tickets.augment.apply`."""
    from tf_tickets import augment

    keys = augment.keys(0, 0, 0, np.arange(len(images)))
    dataset = tf.data.Dataset.from_tensor_slices((images, keys)).batch(BATCH)
    return endless(dataset.map(lambda i, k: augment.apply(policy, i, k), num_parallel_calls=tf.data.AUTOTUNE))


def keras_cv_rand_augment(tf, images):
    """keras-cv's own RandAugment with four operations an image."""
    from keras_cv import layers

    layer = layers.RandAugment(value_range=(0, 255), augmentations_per_image=4)
    dataset = tf.data.Dataset.from_tensor_slices(images).batch(BATCH)
    return endless(dataset.map(layer, num_parallel_calls=tf.data.AUTOTUNE))


def pillow(pool, preset, images, table):
    """Pillow in as many processes as there are cores."""
    jobs = [(preset, images[i : i + BATCH], table) for i in range(0, len(images), BATCH)]

    def forever():
        while True:
            yield from pool.imap(pillow_pipeline.batch, jobs)

    iterator = forever()
    next(iterator)
    return lambda: next(iterator)


def rate(step, seconds):
    """Images per second."""
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        step()
        count += BATCH
    return count / passed


def paused(pool_step, seconds):
    """Pillow's workers run ahead; a short run-up drains what they did while others were timed."""
    rate(pool_step, 0.3)
    return rate(pool_step, seconds)


def microseconds(tf, function, images, value):
    """Best of several runs on this thread pool, per image."""
    traced = tf.function(function)
    images, value = tf.constant(images), tf.constant(value)
    traced(images, value)
    best = min(_time(traced, images, value) for _ in range(15))
    return best / len(images) * 1e6


def _time(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def compare(arguments):
    """Prints the table of presets."""
    cores = os.cpu_count()
    context = multiprocessing.get_context("spawn")
    with context.Pool(cores) as pool:
        import tf_tickets  # noqa: F401  (first: it switches TensorFlow to legacy Keras)
        from tf_tickets.augment import autoaugment
        from tf_tickets.backend import tf

        images = pictures()
        table = [
            [(name, p, [autoaugment.value(name, level, sign) for sign in (-1, 1)]) for name, p, level in sub]
            for sub in autoaugment.TABLES["cifar10"]
        ]
        steps = {("ours", preset): ours(tf, preset, images) for preset in (*PRESETS, *OURS_ALONE)}
        steps |= {("pillow", preset): pillow(pool, preset, images, table) for preset in PRESETS}
        steps["keras-cv", "rand"] = keras_cv_rand_augment(tf, images)
        rates = {key: [] for key in steps}
        for _ in range(arguments.rounds):
            for (kind, preset), step in steps.items():
                measure = paused if kind == "pillow" else rate
                rates[kind, preset].append(measure(step, arguments.seconds))
    print(f"{cores} cores, 32x32, batch {BATCH}, median of {arguments.rounds} rounds; images/s")
    print(f"{'preset':10s}{'ours':>9s}{'Pillow':>9s}{'ratio':>7s}{'keras-cv RandAugment(4)':>25s}{'ratio':>7s}")
    for preset in (*PRESETS, *OURS_ALONE):
        ours = rates["ours", preset]
        line = f"{preset:10s}{statistics.median(ours):9,.0f}"
        for kind, width in (("pillow", 9), ("keras-cv", 25)):
            theirs = rates.get((kind, preset))
            if theirs:
                ratio = statistics.median(a / b for a, b in zip(ours, theirs))
                line += f"{statistics.median(theirs):{width},.0f}{ratio:7.2f}"
        print(line)


def profile():
    """Prints microseconds per image and operation on one core."""
    import tf_tickets  # noqa: F401
    from tf_tickets.augment import colour, operations
    from tf_tickets.backend import tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from keras_cv import layers

    images = pictures(200)
    unit = np.random.default_rng(0).uniform(0, 1, 200).astype(np.float32)

    def column(value):
        return value[:, None, None, None]

    theirs = {
        "autocontrast": lambda i, v: layers.AutoContrast((0, 255)).augment_images(i),
        "equalize": lambda i, v: layers.Equalization((0, 255)).augment_images(i),
        "solarize": lambda i, v: layers.Solarization((0, 255)).augment_images(
            i, transformations={"thresholds": column(256 * v), "additions": tf.zeros_like(column(v))}
        ),
        "color": lambda i, v: layers.RandomColorDegeneration(0.5).augment_images(i, transformations=column(v)),
        "sharpness": lambda i, v: layers.RandomSharpness(0.5, (0, 255)).augment_images(i, transformations=column(v)),
        "posterize": lambda i, v: layers.Posterization((0, 255), 4).augment_image(i),
    }  # fmt: skip
    ranges = {name: (low, high) for name, low, high in operations.RAND} | {"hue": (-0.1, 0.1), "invert": (0, 1)}
    print("one core, 200 images of 32x32: microseconds per image; keras-cv's takes and leaves float32")
    print(f"{'operation':14s}{'ours':>8s}{'keras-cv':>10s}")
    for name, (low, high) in ranges.items():
        function = functools.partial(operations.operate, name)
        line = f"{name:14s}{microseconds(tf, function, images, low + (high - low) * unit):8.1f}"
        if name in theirs:
            line += f"{microseconds(tf, theirs[name], images.astype(np.float32), unit):10.1f}"
        print(line)
    sheared = functools.partial(operations.operate, "shear_x", fill=128.0, bicubic_shear=True)
    print(f"{'bicubic shear':14s}{microseconds(tf, sheared, images, 0.3 * unit):8.1f}")
    print(f"{'blur':14s}{microseconds(tf, colour.blur, images, 0.1 + 1.9 * unit):8.1f}")
    copy = microseconds(tf, lambda i, v: i + np.uint8(1), np.resize(images, (20000, 32, 32, 3)), unit)
    print(f"reading and writing every pixel once, from memory: {copy:.2f} microseconds an image")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    profile() if chosen.profile else compare(chosen)
