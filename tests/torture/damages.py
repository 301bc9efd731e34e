"""Damage to a run folder: a previous generation is used and the end is bitwise equal, or exit 3 names the file.

    cd tests; python -m torture.damages FOLDER

makes an untouched run, a run stopped inside its second round with both generations of its checkpoint, and another
run of each kind to swap files with; damages a copy in every way below, continues it, and prints one JSON line.
"""

import json
import os
import pathlib
import random
import shutil
import sys
import time

import trees
from torture import harness

ROUND = [f"round_00/{name}" for name in ("mask.npz", "weights.npz", "epochs.csv", "density.csv", "summary.json")]
BASE = ["rewind.npz", "subset.csv", "config.cfg", "manifest.json"]
CHECKPOINTS = ["round_01/checkpoint-a.npz", "round_01/checkpoint-b.npz"]
STOPPED = [*ROUND, *BASE, "round_00/evaluations.csv", "round_01/mask.npz", *CHECKPOINTS]
FINISHED = [*ROUND, *BASE, *(name.replace("00", "01") for name in ROUND)]
FINISHED += [f"ticket/{name}" for name in ("ticket.npz", "ticket.json", "saved_model.pb", "labels.txt", "images.txt")]


def flip(path, draw):
    """One bit, anywhere."""
    data = bytearray(pathlib.Path(path).read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    pathlib.Path(path).write_bytes(data)


def keep(share):
    """Truncation to a share of the length."""

    def truncate(path, draw):
        os.truncate(path, int(share * os.path.getsize(path)))

    return truncate


def garbage(path, draw):
    """As many random bytes."""
    pathlib.Path(path).write_bytes(draw.randbytes(os.path.getsize(path)))


def older(path, draw):
    """A document of a version that did not hash it."""
    value = json.loads(pathlib.Path(path).read_text())
    del value["self_sha256"]
    pathlib.Path(path).write_text(json.dumps(value))


def missing(path, draw):
    """Nothing where the file was."""
    os.remove(path)


def swapped(folder, other, name):
    """The same file, or folder, of another run."""
    mine, theirs = os.path.join(folder, name), os.path.join(other, name)
    if os.path.isdir(mine):
        shutil.rmtree(mine)
        shutil.copytree(theirs, mine)
    else:
        shutil.copy(theirs, mine)


WAYS = {"flip": flip, "empty": keep(0.0), "half": keep(0.5), "missing": missing, "garbage": garbage}


def cases(state):
    """Yields (name, files that a message may name, function (folder, other run, random.Random))."""

    def on(name, way):
        return lambda folder, other, draw: way(os.path.join(folder, name), draw)

    for name in STOPPED if state == "stopped" else FINISHED:
        for kind, way in WAYS.items():
            yield f"{kind} {name}", [name], on(name, way)
        yield f"swapped {name}", [name, "manifest.json"], lambda f, o, draw, name=name: swapped(f, o, name)
    for name in ("round_00/summary.json", "manifest.json"):
        yield f"older {name}", [name], on(name, older)
    yield "swapped round_00", ["round_00"], lambda f, o, draw: swapped(f, o, "round_00")
    yield "missing round_00", ["round_00"], lambda f, o, draw: shutil.rmtree(os.path.join(f, "round_00"))
    if state == "stopped":
        for share in (0.01, 0.3, 0.7, 0.9, 0.999):
            yield f"keep {share:g} {CHECKPOINTS[0]}", CHECKPOINTS, on(CHECKPOINTS[0], keep(share))
        yield (
            "both checkpoints flipped",
            CHECKPOINTS,
            lambda f, o, draw: [flip(os.path.join(f, name), draw) for name in CHECKPOINTS],
        )
        yield (
            "both checkpoints garbage",
            CHECKPOINTS,
            lambda f, o, draw: [garbage(os.path.join(f, name), draw) for name in CHECKPOINTS],
        )


def judge(status, text, files, folder, whole):
    """What is wrong with how a damaged run ended, or None."""
    if "Traceback" in text:
        return f"traceback: {text[-600:]}"
    if status == 3:
        # A file of a ticket is named by whichever hash of it is compared first.
        named = any(os.path.join(folder, name.replace("ticket/ticket.json", "ticket/")) in text for name in files)
        return None if named and text.count("\n") == 1 else f"exit 3 without {files}: {text}"
    if status != 0:
        return f"exit {status}: {text[-600:]}"
    try:
        trees.assert_equal(trees.contents(folder), whole)
    except AssertionError as error:
        return f"exit 0, {error}: {text}"
    return None


def both_generations(out):
    """Whether the only run below `out` has both generations of its second round's checkpoint."""
    run = trees.only_run(out)
    return bool(run) and all(os.path.exists(os.path.join(run, name)) for name in CHECKPOINTS)


def stopped_run(out, log, settings=None):
    """A run that stops itself when both generations of its second round's checkpoint are there."""

    def when_both():
        from tf_tickets import stopping
        from tf_tickets.training import checkpoints, fit

        checkpoints._WRITING_SHARE, fit._BLOCK_SECONDS = 1e9, 1e-9
        stopping.requested = lambda: both_generations(out)

    status = harness.run(harness.words(out, settings), log, when_both)
    if status != 75:
        raise SystemExit(f"no stopped run: exit {status}: {open(log).read()}")


def main(folder):
    """Prints one JSON line."""
    began, draw = time.monotonic(), random.Random(0)
    harness.load()
    os.makedirs(folder, exist_ok=True)
    log = os.path.join(folder, "log")
    out = {name: os.path.join(folder, name) for name in ("finished", "stopped", "other_finished", "other_stopped")}
    for name, path in out.items():
        seed = int(name.startswith("other"))
        settings = harness.SETTINGS | {"seed": seed, "subset_seed": seed}
        if name.endswith("stopped"):
            stopped_run(path, log, settings)
        elif harness.run(harness.words(path, settings), log):
            raise SystemExit(open(log).read())
    whole = trees.contents(trees.only_run(out["finished"]))
    results, wrong = {}, {}
    for state in ("stopped", "finished"):
        for name, files, damage in cases(state):
            copy = os.path.join(folder, "copy")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(out[state], copy)
            run = trees.only_run(copy)
            damage(run, trees.only_run(out[f"other_{state}"]), draw)
            before = os.stat(os.path.join(run, "round_00", "timing.json")) if "round_00" in os.listdir(run) else None
            status = harness.run(harness.words(copy, harness.SETTINGS | {"seed": 0, "subset_seed": 0}), log)
            problem = judge(status, open(log).read(), files, run, whole)
            if problem is None and status == 0 and before != os.stat(os.path.join(run, "round_00", "timing.json")):
                problem = "round 0 was trained again in silence"
            results[f"{state}: {name}"] = "named, exit 3" if status == 3 else "bitwise equal"
            if problem:
                wrong[f"{state}: {name}"] = problem
            print(f"{state}: {name}: {problem or results[f'{state}: {name}']}", file=sys.stderr)
    counts = {end: list(results.values()).count(end) for end in sorted(set(results.values()))}
    seconds = round(time.monotonic() - began)
    print(json.dumps({"damages": len(results), "ends": counts, "wrong": wrong, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
