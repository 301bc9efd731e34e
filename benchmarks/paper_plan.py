"""The paper's experiments on paper: runs, steps and GPU hours of every recipe and grid under flags/, at a stated rate.

python benchmarks/paper_plan.py [--rate=IMAGES_PER_SECOND] [--seeds=N]; nothing is trained or written. The rate is that
of ResNet-18 on pictures of 32x32; another network or size counts by its multiply-adds.
"""

import argparse
import functools
import itertools
import pathlib

from tf_tickets.analysis.analyses import activity
from tf_tickets.experiments import plan as plans
from tf_tickets.models import architecture
from tf_tickets.settings import checks
from tf_tickets.settings.config import Config
from tf_tickets.sweeps import grid

FLAGS = pathlib.Path(__file__).parent.parent / "flags"
# Recipes whose head states hours of their own: what one GPU is for.
SINGLE = (
    "cifar10", "release", "vit", "cifar10_1pct", "cifar10_1pct_rand", "cifar10_1pct_auto", "cifar10_1pct_advprop",
    "cifar10_1pct_pretrained", "cifar100_long_tailed", "eurosat_rgb", "eurosat_all", "isic2018", "clamm", "cub",
    "imagenet50",
)  # fmt: skip
# Those that no grid holds.
BESIDE = ("eurosat_all", "cub", "imagenet50", "vit")
# Training images a second of one GPU, ResNet-18 on 32x32: an assumption, to be replaced by a measurement.
RATE = 5000.0
IMAGENET_IMAGES, IMAGENET_BATCH = 1_281_167, 1024
# Passes of an adversarial step over its images, in plain steps.
ADVERSARIAL = 3


def of_grid(path):
    """(title, plans, commands) of a grid, by the flagfile that its first line names."""
    words = path.read_text().split("\n")[0].split()
    flagfile = FLAGS.parent / next(word for word in words if word.startswith("--flagfile=")).partition("=")[2]
    base = Config.from_flagfile(flagfile)
    points = grid.points(str(path))
    return path.stem, [(point.command, plans.resolve(base.replace(**point.values))) for point in points]


@functools.cache
def multiply_adds(described):
    """Multiply-adds of one image."""
    shapes = output_shapes(described.model, described.image_shape, described.stem, described.width)
    return activity.layer_metrics(described.kernels(), {}, shapes | {"linear": (described.classes,)})[0][1]


@functools.cache
def output_shapes(model, image_shape, stem, width):
    """Layers with a kernel -> the shape of what they make of one image; whatever the head."""
    from tf_tickets.models import builder

    network = builder.build(model, classes=2, image_shape=image_shape, stem=stem, width=width)
    return {layer.name: layer.output_shape[1:] for layer in network.layers if hasattr(layer, "kernel")}


def row(title, runs, seeds, rate):
    """One line of the table: title, runs, steps, image passes, hours."""
    steps = passes = work = 0
    unit = multiply_adds(architecture.describe("resnet18", classes=10, image_shape=(32, 32, 3)))
    for command, plan in runs:
        trained = plan.steps_of(range(len(plan.weights) if command == "imp" else 1))
        steps += trained
        cost = ADVERSARIAL if plan.config.training.adversarial else 1
        seen = cost * trained * plan.train_images / plan.steps_per_epoch
        passes += seen
        work += seen * multiply_adds(plan.network) / unit
    return title, len(runs) * seeds, steps * seeds, passes * seeds, work * seeds / rate / 3600


def of_recipe(name):
    """(title, plans) of one flagfile."""
    return name, [("imp", plans.resolve(Config.from_flagfile(FLAGS / f"{name}.cfg")))]


def imagenet(seeds, rate):
    """Lines for ImageNet-1k at 100 %, sixteen rounds, rewound to epoch 2; no recipe of the project has it."""
    unit = multiply_adds(architecture.describe("resnet18", classes=10, image_shape=(32, 32, 3)))
    for model, epochs in itertools.product(("resnet18", "resnet50"), (90, 200)):
        network = architecture.describe(model, classes=1000, image_shape=(224, 224, 3), stem="full")
        config = Config.from_values(epochs=epochs, batch_size=IMAGENET_BATCH)
        count = config.pruning.rounds - 1
        seen = epochs + count * (epochs - checks.rewind_parts(config.pruning.rewind)[1])
        passes = seen * IMAGENET_IMAGES * seeds
        steps = seen * -(-IMAGENET_IMAGES // IMAGENET_BATCH) * seeds
        hours = passes * multiply_adds(network) / unit / rate / 3600
        yield f"{model}, {epochs} epochs", seeds, steps, passes, hours


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rate", type=float, default=RATE, help="training images a second of one GPU")
    parser.add_argument("--seeds", type=int, default=1, help="pairs of (seed, subset seed) of each run")
    given = parser.parse_args()
    grids = [of_grid(path) for path in sorted(FLAGS.glob("*.sweep"))]
    whole = [row(*each, given.seeds, given.rate) for each in [*grids, *map(of_recipe, BESIDE)]]
    whole.append(("in all", *(sum(column) for column in zip(*(r[1:] for r in whole)))))
    print(f"{given.seeds} seed(s), {given.rate:,.0f} images/s on one GPU, stated, not measured")
    show("The paper: every grid, and the recipes that no grid holds", whole)
    show(f"ImageNet-1k at 100 %, {IMAGENET_BATCH} images a step", imagenet(given.seeds, given.rate))
    show("One recipe each", [row(*of_recipe(name), given.seeds, given.rate) for name in SINGLE])


def show(title, rows):
    """Prints one table."""
    print(f"\n{title}\n{'':24s}  runs         steps      image passes    GPU hours")
    for name, runs, steps, passes, hours in rows:
        print(f"{name:24s}  {runs:4d}  {steps:12,d}  {passes:16,.0f}  {hours:11,.2f}")


if __name__ == "__main__":
    main()
