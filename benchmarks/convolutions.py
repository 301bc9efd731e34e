"""What the convolutions of a training step take, one by one, against the machine's peak.

    python benchmarks/convolutions.py [--rounds=9] [--widths=16,64] [--out=FILE.json]
    python benchmarks/convolutions.py --break_even       # where Winograd's filtering pays, in place of a network's

ResNet-18, 32x32, batch 100, all cores, float32, deterministic mode. Each distinct convolution runs forward, and forward
with both its gradients, without anything around it or beside it. Those that the network computes by Winograd's
filtering run directly too. `benchmarks/steps.py` has the sum beside the steps. Shares of the peak count the products of
the definition, those with padding left out: Winograd's filtering can exceed 100 %.
"""

import argparse
import collections
import statistics
import time

import bench
import numpy as np

# (side, channels) on both sides of where Winograd's filtering is used.
SQUARE = (
    (4, 64), (4, 128), (4, 256), (4, 512), (5, 256), (7, 256), (7, 512), (8, 64), (8, 128), (8, 256), (8, 512),
    (12, 256), (16, 128), (16, 256),
)  # fmt: skip


def convolutions(width):
    """Counter of (side, in, out, kernel, stride, padded) of every convolution in the network."""
    from tf_tickets.models import builder

    model = builder.build("resnet18", classes=10, image_shape=(32, 32, 3), width=width)
    counts = collections.Counter()
    for layer in model.layers:
        if len(getattr(layer, "kernel", np.zeros(0)).shape) != 4:
            continue
        size, _, inputs, outputs = layer.kernel.shape
        # 1x1 shortcuts take their positions first; other strides come after a layer that pads.
        before, after = layer.input.shape[1], layer.output.shape[1]
        stride = 1 if size == 1 else layer.strides[0]
        side = after * stride
        counts[side, inputs, outputs, size, stride, before > side] += 1
    return counts


def products(side, size, stride):
    """Products of one channel pair and one image whose factor is a pixel, not padding."""
    starts = range(-(size // 2), side - size // 2, stride)
    taps = sum(sum(0 <= start + tap < side for tap in range(size)) for start in starts)
    return taps**2


def seconds(call, rounds):
    """The median time of a call."""
    call()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        call().numpy()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def calls(shape, filtering):
    """One convolution of a batch, forward, and with the gradients of its kernel and, unless they are pictures, images.

    Args:
      shape: of `convolutions`.
      filtering: whether by Winograd's filtering, or directly.
    """
    from tf_tickets.backend import tf
    from tf_tickets.models import winograd

    side, inputs, outputs, size, stride, padded = shape
    draws = np.random.default_rng(0)
    kept = side + 2 * (size // 2) if padded else side
    images = tf.constant(draws.normal(size=(bench.BATCH, kept, kept, inputs)), tf.float32)
    kernel = tf.constant(draws.normal(size=(size, size, inputs, outputs)), tf.float32)
    after = side // stride
    upstream = tf.constant(draws.normal(size=(bench.BATCH, after, after, outputs)), tf.float32)
    watched = [kernel] if inputs == 3 else [images, kernel]

    def forward():
        if filtering:
            return winograd.convolve(images, kernel)
        return tf.nn.conv2d(images, kernel, stride, "VALID" if padded else "SAME")

    def whole():
        with tf.GradientTape() as tape:
            tape.watch(watched)
            output = forward()
        gradients = tape.gradient(output, watched, output_gradients=upstream)
        return tf.add_n([array[0, 0, 0, 0] for array in (output, *gradients)])

    # One number comes back, so that copying the result is not measured.
    return {
        "forward": tf.function(lambda: forward()[0, 0, 0, 0], autograph=False),
        "whole": tf.function(whole, autograph=False),
    }


def transformed(shape):
    """Whether the network computes a convolution of `convolutions` by Winograd's filtering."""
    from tf_tickets.backend import tf
    from tf_tickets.models import winograd

    side, inputs, outputs, size, stride, padded = shape
    if tf.config.list_physical_devices("GPU"):
        return False
    return size == 3 and stride == 1 and not padded and winograd.pays(inputs, outputs, (side, side))


def step(width):
    """A function count -> None that computes all convolutions of so many steps, and nothing else."""
    every = [
        calls(shape, transformed(shape))["whole"] for shape, count in convolutions(width).items() for _ in range(count)
    ]
    return lambda count: [call().numpy() for _ in range(count) for call in every]


def peak(rounds):
    """Floating-point operations a second of a product of two large matrices."""
    from tf_tickets.backend import tf

    matrix = tf.random.stateless_normal([bench.SIDE, bench.SIDE], [0, 0])
    return 2 * bench.SIDE**3 / seconds(tf.function(lambda: tf.matmul(matrix, matrix)[0, 0], autograph=False), rounds)


def measure(width, rounds):
    """(rows by distinct convolution, images/s of the convolutions alone, the peak)."""
    best, lines, total = peak(rounds), [], 0.0
    for shape, count in convolutions(width).items():
        side, inputs, outputs, size, stride, _ = shape
        times = {name: seconds(call, rounds) for name, call in calls(shape, transformed(shape)).items()}
        direct = seconds(calls(shape, False)["whole"], rounds) if transformed(shape) else None
        total += count * times["whole"]
        operations = 2 * bench.BATCH * products(side, size, stride) * inputs * outputs
        shares = [
            100 * operations / times["forward"] / best,
            100 * (2 if inputs > 3 else 1) * operations / (times["whole"] - times["forward"]) / best,
        ]
        name = f"{count} x {size}x{size}, {inputs} to {outputs}, {side}x{side}" + (", stride 2" if stride > 1 else "")
        milliseconds = [f"{1e3 * count * taken:.0f}" if taken else "" for taken in (times["whole"], direct)]
        lines.append((name, *milliseconds, *(f"{share:.0f} %" for share in shares)))
    return lines, bench.BATCH / total, best


def break_even(rounds):
    """Rows of one 3x3 convolution of stride 1, directly and by Winograd's filtering, on both sides of the rule."""
    lines = []
    for side, channels in SQUARE:
        shape = side, channels, channels, 3, 1, False
        both = [calls(shape, filtering) for filtering in (False, True)]
        row = [f"{channels} channels, {side}x{side}"]
        for part in ("whole", "forward"):
            times = [seconds(way[part], rounds) for way in both]
            row += [*(f"{1e3 * taken:.1f}" for taken in times), f"{times[0] / times[1]:.2f}"]
        lines.append((*row, "yes" if transformed(shape) else "no"))
    return lines


def main():
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--widths", default="16,64")
    parser.add_argument("--break_even", action="store_true")
    parser.add_argument("--out")
    given = parser.parse_args()
    from tf_tickets import backend
    from tf_tickets.settings import config

    facts, numbers = bench.machine(), {}
    print(bench.header(facts))
    backend.start(config.Config.from_values(dataset="cifar10").run)
    if given.break_even:
        lines = break_even(given.rounds)
        bench.rows(
            ("convolution", "directly, ms", "filtered", "faster", "forward", "filtered", "faster", "used"), lines
        )
        bench.record("break_even", facts, {"rows": lines}, given.out)
        return
    for width in map(int, given.widths.split(",")):
        lines, rate, best = measure(width, given.rounds)
        print(f"\nResNet-18, width {width}: convolutions alone {rate:,.1f} images/s; "
              f"matrix products reach {best / 1e9:.0f} GFLOP/s")  # fmt: skip
        bench.rows(("convolution", "ms a step", "directly", "forward", "backward"), lines)
        numbers[f"width_{width}"] = {"images_per_second": rate, "peak_gflops": best / 1e9, "rows": lines}
    bench.record("convolutions", facts, numbers, given.out)


if __name__ == "__main__":
    main()
