"""The same sweep by the process pool and by Ray on one machine, whole; and 1,000 runs that are finished.

    python benchmarks/ray_throughput.py sweeps FOLDER [--order=process,ray] [--json=FILE] [-- FLAG ...]
    python benchmarks/ray_throughput.py finished FOLDER [--runs=1000] [--json=FILE]

`sweeps` times the whole command, the start and end of its local cluster included: two runs at a time, one thread each.
`finished` makes one tiny run, copies it under the names of the others, and times the command that finds them finished.
Each prints one JSON line; needs the extra [ray].
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import trees  # noqa: E402

from tf_tickets import runs, storage  # noqa: E402

SWEEP = ["--flagfile=flags/quickstart.cfg", "--rounds=2", "--epochs=34", "--notensorboard", "--sweep=seed=0..3"]
TINY = [
    "--dataset=digits", "--model=vgg11", "--images=60", "--width=2", "--epochs=2", "--rounds=2", "--rewind=epoch:1",
    "--batch_size=20", "--notensorboard",
]  # fmt: skip
ENGINES = {"process": ["--workers=2"], "ray": ["--engine=ray", "--cpus_per_run=1"]}
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def timed(engine, out, flags, **environment):
    """Seconds of a whole sweep; stops at one that fails."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tf_tickets.main", "sweep", *flags, *ENGINES[engine], f"--out={out}"], cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    print(f"{engine}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return round(seconds, 1)


def compare(given, flags):
    """Sweeps in the order asked for; whether all end in the same bits."""
    sweeps, bits = [], []
    for number, engine in enumerate(given.order.split(",")):
        out = os.path.abspath(os.path.join(given.folder, f"{number}_{engine}"))
        sweeps.append([engine, timed(engine, out, flags, **dict.fromkeys(THREADS, "1"))])
        bits.append({str(path.relative_to(out)): trees.contents(path) for path in pathlib.Path(out).glob("*/seed_*")})
    sums = {name: [seconds for engine, seconds in sweeps if engine == name] for name in ENGINES}
    means = {name: sum(seconds) / len(seconds) for name, seconds in sums.items() if seconds}
    return {
        "sweeps": sweeps, "runs": len(bits[0]), "same_bits": all(each == bits[0] for each in bits),
        "ray_over_process": round(means["ray"] / means["process"], 4) if len(means) == 2 else None,
    }  # fmt: skip


def resubmit(given):
    """Seconds in which finished runs are found finished."""
    out = os.path.abspath(os.path.join(given.folder, "runs"))
    timed("process", out, [*TINY, "--sweep=seed=0"])
    first = next(pathlib.Path(out).glob("*/seed_0"))
    for seed in range(1, given.runs):
        shutil.copytree(first, first.parent / f"seed_{seed}", ignore=shutil.ignore_patterns("saved_model*", "*.png"))
    assert runs.RunFolder(str(first.parent / "seed_1")).round(1).complete
    sweep = [*TINY, f"--sweep=seed=0..{given.runs - 1}"]
    seconds = {engine: timed(engine, out, sweep) for engine in ENGINES}
    rows = storage.read_csv(os.path.join(out, "sweep", "table.csv"))
    return {"finished": sum(row["state"] == "finished" for row in rows), "seconds": seconds}


def main():
    """Prints one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("sweeps", "finished"))
    parser.add_argument("folder")
    parser.add_argument("--order", default="process,ray")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--json")
    words, _, flags = " ".join(sys.argv[1:]).partition(" -- ")
    given = parser.parse_args(words.split())
    result = compare(given, flags.split() or SWEEP) if given.what == "sweeps" else resubmit(given)
    print(json.dumps(result))
    if given.json:
        storage.write_json(given.json, result)


if __name__ == "__main__":
    main()
