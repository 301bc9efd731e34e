"""What a criterion that scores weights as drawn costs: from a session that is ready to the masks of its round.

    python benchmarks/criteria.py [--data_dir=DATA] [--width=64] [--criteria=snip,grasp] [--repeats=5] [--out=FILE.json]

ResNet-18 on CIFAR-10 with 50 images per class, all cores. Each time counts all that a run pays: a copy of the network
is built and traced, derivatives are computed and weights ranked. Criteria are asked in turn; the first turn, in which
TensorFlow loads its kernels, is listed by itself. CPU seconds are of all cores together: what it costs whoever else is
there.
"""

import argparse
import statistics
import time

import bench


def timed(name, width, data_dir):
    """A function -> (seconds, CPU seconds) from a session, built before, to the masks at a density of 0.015."""
    from tf_tickets.experiments import plan
    from tf_tickets.experiments.derivatives import Derivatives
    from tf_tickets.experiments.session import Session
    from tf_tickets.pruning import masks
    from tf_tickets.settings.config import Config

    session = Session(plan.resolve(Config.from_values(
        dataset="cifar10", data_dir=data_dir, per_class=50, width=width, control="one_shot", criterion=name, rounds=5,
        rate=0.65,
    )))  # fmt: skip
    dense = session.plan.dense_masks
    weights = masks.kernels(session.initial, dense)

    def seconds():
        began, used = time.perf_counter(), time.process_time()
        drawn = session.plan.control.drawn(
            session.plan, weights, gradients=Derivatives(session, (session.initial, dense))
        )
        taken = time.perf_counter() - began, time.process_time() - used
        assert masks.count(drawn) == session.plan.weights[1]
        return taken

    return seconds


def main():
    """Measures, prints and records."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--criteria", default="snip,grasp")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    facts = bench.machine()
    sides = {name: timed(name, arguments.width, arguments.data_dir) for name in arguments.criteria.split(",")}
    seconds = {name: [] for name in sides}
    for _ in range(arguments.repeats + 1):
        for name, ask in sides.items():
            seconds[name].append(ask())
    print(bench.header(facts))
    lines = []
    for name, pairs in seconds.items():
        (first, *times), (_, *used) = zip(*pairs)
        spread = f"{min(times):.1f} to {max(times):.1f}"
        lines.append(
            (name, f"{statistics.median(times):.1f}", spread, f"{first:.1f}", f"{statistics.median(used):.1f}")
        )
    bench.rows((f"ResNet-18, width {arguments.width}", "seconds, median", "all", "first", "CPU seconds"), lines)
    numbers = {"width": arguments.width, "seconds_and_cpu_seconds": seconds}
    bench.record("criteria", facts, numbers, arguments.out)


if __name__ == "__main__":
    main()
