"""The paper's experiments on paper: runs, steps and GPU hours of every recipe and grid under flags/, at a stated rate.

python benchmarks/paper_plan.py [--rate=IMAGES_PER_SECOND] [--seeds=N]; nothing is trained or written.
"""

import argparse
import pathlib

from tf_tickets import config as configs
from tf_tickets.experiments import grid
from tf_tickets.experiments import plan as plans

FLAGS = pathlib.Path(__file__).parent.parent / "flags"
# One recipe each; the grids hold the rest.
SINGLE = ("eurosat_all", "cub", "imagenet50", "vit")
# Passes of an adversarial step over its images, in plain steps.
ADVERSARIAL = 3


def of_grid(path):
    """(title, plans, commands) of a grid, by the flagfile that its first line names."""
    words = path.read_text().split("\n")[0].split()
    flagfile = FLAGS.parent / next(word for word in words if word.startswith("--flagfile=")).partition("=")[2]
    base = configs.Config.from_flagfile(flagfile)
    points = grid.points(str(path))
    return path.stem, [(point.command, plans.resolve(base.replace(**point.values))) for point in points]


def row(title, runs, seeds, rate):
    """One line of the table: title, runs, steps, image passes, hours."""
    steps = passes = 0
    for command, plan in runs:
        mine = plan.steps_of(range(len(plan.weights) if command == "imp" else 1))
        steps += mine
        cost = ADVERSARIAL if plan.config.training.adversarial else 1
        passes += cost * mine * plan.train_images / plan.steps_per_epoch
    return title, len(runs) * seeds, steps * seeds, passes * seeds, passes * seeds / rate / 3600


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rate", type=float, default=5000.0, help="training images a second of one GPU")
    parser.add_argument("--seeds", type=int, default=1, help="pairs of (seed, subset seed) of each run")
    given = parser.parse_args()
    found = [of_grid(path) for path in sorted(FLAGS.glob("*.sweep"))]
    found += [(n, [("imp", plans.resolve(configs.Config.from_flagfile(FLAGS / f"{n}.cfg")))]) for n in SINGLE]
    rows = [row(title, runs, given.seeds, given.rate) for title, runs in found]
    rows.append(("in all", *(sum(column) for column in zip(*(r[1:] for r in rows)))))
    print(f"{given.seeds} seed(s), {given.rate:,.0f} images/s on one GPU, stated, not measured")
    print(f"{'':22s}  runs         steps      image passes    GPU hours")
    for title, runs, steps, passes, hours in rows:
        print(f"{title:22s}  {runs:4d}  {steps:12,d}  {passes:16,.0f}  {hours:11,.1f}")


if __name__ == "__main__":
    main()
