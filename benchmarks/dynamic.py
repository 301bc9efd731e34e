"""What RigL's changes of the mask cost: so many steps with one update among them against as many pruned steps.

    python benchmarks/dynamic.py [--data_dir=DATA] [--width=16] [--batch_size=10] [--repeats=9] [--out=FILE.json]

The recipe of flags/few.cfg at density 0.125: both sides train the same network from the same batches, in turn, in one
process, after one turn that does not count. Seconds are of the process's cores: others may use the machine beside it.
"""

import argparse
import os
import statistics
import tempfile
import time

import bench

os.environ.update(bench.environment(TF_USE_LEGACY_KERAS=1))


def sides(config):
    """Functions that train `update_every` steps: `pruned`, and `rigl`, whose first one is an update."""
    from tf_tickets import runs
    from tf_tickets.experiments import searching, train
    from tf_tickets.experiments.session import Session
    from tf_tickets.pruning import dynamic, wrapping

    plan = train.prepare(config)[0]
    session, updates = Session(plan), dynamic.updates(plan)
    beginning = searching.retraining(session, runs.RunFolder(config.run.out), None)
    wrapping.write_state(session.steps.model, session.initial, beginning.masks)
    batches, turns = iter(session.batches(0, 0, plan.last_step)), iter(updates)

    def pruned():
        session.steps.train(batches, updates.step, 1e-3)

    def rigl():
        assert beginning.in_place(next(turns), batches) is not None
        session.steps.train(batches, updates.step - 1, 1e-3)

    return {"pruned": pruned, "rigl": rigl}


def measure(config, repeats):
    """Seconds by side, of all cores and on the wall."""
    times = {(side, clock.__name__): [] for side in ("pruned", "rigl") for clock in (time.process_time, time.monotonic)}
    functions = sides(config)
    for turn in range(-1, repeats):
        for side, function in functions.items():
            before = time.process_time(), time.monotonic()
            function()
            taken = time.process_time() - before[0], time.monotonic() - before[1]
            if turn >= 0:
                for clock, seconds in zip(("process_time", "monotonic"), taken):
                    times[side, clock].append(seconds)
    return times


def main():
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch_size", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out")
    given = parser.parse_args()
    from tf_tickets.settings.config import Config

    facts = bench.machine()
    print(bench.header(facts))
    with tempfile.TemporaryDirectory() as out:
        config = Config.from_flagfile(
            str(bench.ROOT / "flags" / "few.cfg"), data_dir=given.data_dir, width=given.width, out=out, rival="none",
            batch_size=given.batch_size, control="rigl", search_epochs=None, full_rounds=None, rounds=3, rate=0.646,
            progress="none", tensorboard=False,
        )  # fmt: skip
        times = measure(config, given.repeats)
    numbers = {
        clock: {
            **{side: statistics.median(times[side, clock]) for side in ("pruned", "rigl")},
            "ratio": bench.ratio(times["rigl", clock], times["pruned", clock]),
        }
        for clock in ("process_time", "monotonic")
    }
    bench.rows(("100 steps, seconds", "pruned", "with an update", "ratio", "quartiles", "wanted"), [
        (name, f"{row['pruned']:.2f}", f"{row['rigl']:.2f}", f"{row['ratio']['median']:.3f}",
         "{:.3f} to {:.3f}".format(*row["ratio"]["quartiles"]), "at most 1.1")
        for name, row in (("of all cores", numbers["process_time"]), ("on the wall", numbers["monotonic"]))
    ])  # fmt: skip
    bench.record("dynamic", facts, numbers | {"width": given.width, "batch_size": given.batch_size}, given.out)


if __name__ == "__main__":
    main()
