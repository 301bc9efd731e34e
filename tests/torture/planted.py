"""Links, FIFOs, sockets, devices and folders, planted one at a time wherever a command reads or writes.

    cd tests; python -m torture.planted FOLDER ENTRIES SEED [COMMAND ...]

plants so many entries, dealt out over the commands, all unless some are named, each under a path that an untouched run
of its command reads or writes (or under the fixed name that earlier versions gave a file while it was written). Prints
one JSON line: the statuses, and for each kind of failure the entries: hangs, those that did not hear SIGTERM,
tracebacks, other ends, more than one line, and what was changed outside of the command's folder.
"""

import collections
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import stat
import sys
import time
import types

import miniatures
import trees
from torture import harness

KINDS = ("link", "zero", "FIFO", "socket", "folder")
# Seconds of computing, or of waiting for nothing, after which a command hangs; and in which SIGTERM has to be heard.
LIMIT, HEARD = 20.0, 5.0
# Bytes of address space that a command may add: what is read without end must not take the machine.
ROOM = 4 << 30
ENDS = (0, 2, 3)
# Shares of the entries: whole runs take longest.
SHARES = {"fresh": 1, "train": 1, "continuing": 2, "export": 2}
SHARE = 3
# Folders that the command line names: a link there is the user's own.
NAMED = ("out", "page", "data")
# Names that differ each time: nobody can plant something there.
CHANGING = re.compile(r"\.[0-9a-f]{16}\.writing|incomplete\.|tfevents|/tmp[^/]*$|__pycache__")
FACTS = ("cifar10_2", "eurosat_rgb")


def commands(run):
    """The command lines by name, in a folder that `fill` has filled; `run` is the path of the finished run there."""
    imp = harness.words("out")
    trained = [word for word in imp[1:] if not word.startswith(("--rounds", "--images", "--rewind", "--validation"))]
    return {
        "fresh": imp,
        "continuing": imp,
        "train": ["train", *trained, "--pretrained=backbone.npz", "--subset_file=ids.txt"],
        "evaluate": ["evaluate", run],
        "analyze": ["analyze", run, "--what=density,activity"],
        "report": ["report", run, "--out=page"],
        "export": ["export", run, "--format=ticket,runtime"],
        "predict": ["predict", f"{run}/ticket", "pictures"],
        "verify": ["verify", f"{run}/ticket"],
        "prepare": ["prepare", "cifar10_2", "--archive=archive.tar", "--data_dir=data"],
        "prepare pictures": ["prepare", "eurosat_rgb", "--archive=archive", "--data_dir=data"],
    }


def small():
    """Makes the data sets of the archives small, in this process and those forked from it."""
    patch = types.SimpleNamespace(setattr=setattr)
    return {name: miniatures.small(patch, name) for name in FACTS}


def fill(folder, facts):
    """Makes what every command needs in `folder`: {name: path of its own folder}, and the run's path in them."""
    import tarfile

    import numpy as np
    from PIL import Image

    finished = os.path.join(folder, "finished")
    os.makedirs(finished)
    log = os.path.join(folder, "log")
    if harness.run(harness.words(os.path.join(finished, "out")), log):
        raise SystemExit(open(log).read())
    path = trees.only_run(os.path.join(finished, "out"))
    run = os.path.relpath(path, finished)
    made = {name: os.path.join(folder, name.replace(" ", "_")) for name in commands(run)}
    for name, box in made.items():
        if name in ("fresh", "train", "prepare", "prepare pictures"):
            os.makedirs(box)
        else:
            shutil.copytree(finished, box)
    left = pathlib.Path(made["continuing"], run)
    shutil.rmtree(left / "ticket")
    for name in ("round_01/summary.json", "table.csv", "accuracy.png", "accuracy.svg"):
        (left / name).unlink()
    with open(os.path.join(path, "subset.csv")) as file:
        ids = [line.split(",")[0] for line in file.read().splitlines()[1:]]
    pathlib.Path(made["train"], "ids.txt").write_text("\n".join(ids) + "\n")
    with np.load(os.path.join(path, "rewind.npz")) as rewound:
        np.savez(os.path.join(made["train"], "backbone.npz"), **rewound)
    pictures = pathlib.Path(made["predict"], "pictures")
    pictures.mkdir()
    for number in range(3):
        Image.new("L", (8, 8), number).save(pictures / f"{number}.jpg")
    arrays = pathlib.Path(folder, "arrays")
    arrays.mkdir()
    miniatures.arrays(arrays, facts["cifar10_2"])
    with tarfile.open(os.path.join(made["prepare"], "archive.tar"), "w") as archive:
        archive.add(arrays, "cifar102")
    (archive := pathlib.Path(made["prepare pictures"], "archive")).mkdir()
    miniatures.split_files(archive, facts["eurosat_rgb"])
    return made, run


def traced(box, words, log):
    """Runs a command untouched in a copy of `box`; (paths it reads or writes, those of them that are folders)."""
    copy, noted = f"{box}.traced", f"{box}.json"
    shutil.copytree(box, copy, symlinks=True)
    before, paths = set(trees.tree(pathlib.Path(copy))), set()

    def hook(event, arguments):
        if event.startswith(("open", "os.", "shutil.")):
            paths.update(os.fsdecode(path) for path in arguments if isinstance(path, (str, bytes)))

    def start():
        os.chdir(copy)
        sys.addaudithook(hook)

    def tell():
        found = list(paths)
        with open(noted, "w") as file:
            json.dump([os.path.relpath(os.path.join(copy, path), copy) for path in found], file)

    status = harness.run(words, log, start, tell)
    if status:
        raise SystemExit(f"{words}: exit {status}: {open(log).read()}")
    after = trees.tree(pathlib.Path(copy))
    with open(noted) as file:
        found = {path for path in json.load(file) if not path.startswith("..") and path != "."}
    found |= before | set(after) | {f"{path}.writing" for path in set(after) - before}
    folders = {path for path in found if os.path.isdir(os.path.join(copy, path))}
    shutil.rmtree(copy)
    return sorted(path for path in found if not CHANGING.search(path)), folders


def plant(path, kind, outside, is_folder):
    """Puts an entry in the place of whatever stands at a path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)
    if kind == "link":
        os.symlink(os.path.join(outside, "folder" if is_folder else "canary"), path)
    elif kind == "zero":
        os.symlink("/dev/zero", path)
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        os.mkdir(path)
    else:
        here = os.getcwd()
        os.chdir(os.path.dirname(path))  # a socket's address is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.basename(path))
        os.chdir(here)


def computed(child):
    """Seconds of computing of a process so far."""
    with open(f"/proc/{child}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited(child):
    """(exit status, None) of a child, or (None, whether it heard SIGTERM) of one that hangs."""
    quiet, last = time.monotonic(), 0.0
    while time.monotonic() - quiet < LIMIT and last < LIMIT:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), None
        time.sleep(0.005)
        now = computed(child)
        if now > last + 0.1:
            quiet, last = time.monotonic(), now
    os.kill(child, signal.SIGTERM)
    asked = time.monotonic()
    while time.monotonic() - asked < HEARD:
        if os.waitpid(child, os.WNOHANG)[0]:
            return None, True
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None, False


def surroundings(outside):
    """What must not change."""
    return trees.tree(pathlib.Path(outside)) | {"/dev/zero": stat.S_ISCHR(os.stat("/dev/zero").st_mode)}


# Lines that are no errors.
NOTICES = ("again from its beginning", "preparing ", "pretrained backbone loaded", "tf-tickets: export: ")


def attempt(folder, box, words, path, kind, is_folder):
    """Plants one entry and runs the command; returns (exit status or None, kinds of failure)."""
    copy, outside, log = (os.path.join(folder, name) for name in ("box", "outside", "log"))
    for place in (copy, outside):
        shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(box, copy)
    os.makedirs(os.path.join(outside, "folder"))
    pathlib.Path(outside, "canary").write_text("alive\n")
    plant(os.path.join(copy, path), kind, outside, is_folder)
    before = surroundings(outside)

    def start():
        os.chdir(copy)
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))

    status, heard = waited(harness.fork(words, log, start))
    with open(log, errors="replace") as file:
        text = file.read()
    failures = ["hangs"] if status is None else []
    failures += ["deaf"] if heard is False else []
    failures += ["tracebacks"] if "Traceback" in text else []
    failures += ["other ends"] if status not in (None, *ENDS) else []
    lines = text.splitlines()
    # What is being done is said before it is begun.
    errors = [line for line in lines if not any(notice in line for notice in NOTICES)]
    told = len(errors) == 1 and errors[0].startswith("tf-tickets: ")
    failures += ["not one line"] if status in (2, 3) and not told else []
    failures += ["outside"] if surroundings(outside) != before and path not in NAMED else []
    return status, failures


def chosen(paths, count, draw):
    """So many (command, path, kind), dealt out over the commands by their shares."""
    found, parts = [], {name: SHARES.get(name, SHARE) for name in sorted(paths)}
    for name, part in parts.items():
        entries = [(name, path, kind) for path in paths[name] for kind in KINDS]
        draw.shuffle(entries)
        found += entries[: round(count * part / sum(parts.values()))]
    draw.shuffle(found)
    return found


def main(folder, count, seed, *only):
    """Prints one JSON line."""
    began, draw = time.monotonic(), random.Random(seed)
    facts = small()
    harness.load()
    from tf_tickets.data import prepare  # noqa: F401
    from tf_tickets.export import (
        formats,  # noqa: F401
        predict,  # noqa: F401
    )

    folder = os.path.abspath(folder)
    os.makedirs(folder, exist_ok=True)
    boxes, run = fill(folder, facts)
    lines, log = commands(run), os.path.join(folder, "log")
    known = {name: traced(boxes[name], lines[name], log) for name in only or boxes}
    statuses, failures = collections.Counter(), collections.defaultdict(list)
    entries = chosen({name: paths for name, (paths, _) in known.items()}, count, draw)
    for number, (name, path, kind) in enumerate(entries, 1):
        status, found = attempt(folder, boxes[name], lines[name], path, kind, path in known[name][1])
        statuses[str(status)] += 1
        for failure in found:
            failures[failure].append(f"{name}: {kind} at {path}")
        if found and os.environ.get("SHOW"):
            print(f"{name}: {kind} at {path}: {status} {open(log).read()[-1500:]}", file=sys.stderr)
        seconds = time.monotonic() - began
        print(f"{number}/{len(entries)} {name}: {kind} at {path}: {status} {found} {seconds:.0f} s", file=sys.stderr)
    print(json.dumps({
        "entries": len(entries), "paths": {name: len(paths) for name, (paths, _) in known.items()},
        "kinds": collections.Counter(kind for *_, kind in entries), "statuses": statuses,
        "failed": {name: len(found) for name, found in failures.items()}, "failures": failures,
        "seconds": round(time.monotonic() - began),
        "computed": round(sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
                              for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))),
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
