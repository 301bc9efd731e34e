"""Coverage-guided fuzzing of everything that reads what somebody typed or what lies on disk.

    pip install -e '.[test,fuzz]'
    cd tests; python -m torture.fuzz FOLDER SECONDS [READER ...]

Every reader of `readers` gets a process of its own for SECONDS, bytes that atheris makes from the branches reached, and
as a start the recipes of flags/ or the files of a finished run. Prints one JSON line: executions, branches reached
and what was found, by reader; an input that breaks a promise stays in FOLDER as crash-*.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
READERS = ("policy", "sweep_grid", "flagfile", "settings_file", "subset_list", "split_lists", "run_folder")
# A run of two rounds, for its files.
RUN = ("--dataset=digits", "--images=70", "--model=vgg11", "--width=2", "--epochs=3", "--rounds=2", "--progress=none")


def made(folder):
    """The run below the folder, under the name that its files are sealed with."""
    return next((folder / "out").glob("*/seed_*"), None)


def starts(reader, run):
    """Inputs to start from."""
    if reader == "policy":
        from tf_tickets.settings import policies

        return [name.encode() for name in (*policies.PRESETS, *policies.PRESETS.values())]
    if reader == "sweep_grid":
        return [path.read_bytes() for path in (ROOT / "flags").glob("*.sweep")]
    if reader in ("flagfile", "settings_file"):
        return [path.read_bytes() for path in (ROOT / "flags").glob("*.cfg")]
    if reader == "subset_list":
        return [b"a\nb\n"]
    if reader == "split_lists":
        return [b"p 0\nq 1\n\xffq 1\n\xffr 1\n"]
    import readers

    names = readers.run_names(run)
    return [bytes([index]) + (run / name).read_bytes() for index, name in enumerate(names)]


def target(reader, folder, run):
    """The function of bytes that atheris calls."""
    import readers

    call = getattr(readers, reader)
    if reader in ("policy", "sweep_grid"):
        return lambda data: call(data.decode("utf-8", "surrogateescape"))
    if reader == "split_lists":
        return lambda data: call((data + b"\xff\xff").split(b"\xff")[:3], folder)
    if reader == "run_folder":
        names = readers.run_names(run)
        return lambda data: data and call(run, names[data[0] % len(names)], data[1:])
    return lambda data: call(data, folder)


def fuzz(folder, reader, seconds):
    """In a process of its own: atheris ends it."""
    import atheris

    with atheris.instrument_imports(include=["tf_tickets"]):
        call = target(reader, folder, made(folder.parent))
    words = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}{os.sep}", "-print_final_stats=1", "-timeout=20"]
    atheris.Setup([sys.argv[0], *words, "-max_len=20000", str(folder / "corpus")], call)
    atheris.Fuzz()


def one(folder, reader, seconds):
    """Fuzzes a reader in a child; returns what is printed of it."""
    (folder / "corpus").mkdir(parents=True)
    for index, data in enumerate(starts(reader, made(folder.parent))):
        (folder / "corpus" / f"start_{index}").write_bytes(data)
    command = [sys.executable, "-m", "torture.fuzz", str(folder), str(seconds), "--child", reader]
    found = subprocess.run(command, capture_output=True, text=True, errors="replace")
    (folder / "log").write_text(found.stdout + found.stderr)
    executions = re.search(r"number_of_executed_units:\s*(\d+)", found.stderr)
    reached = re.findall(r"cov: (\d+)", found.stderr)
    return {
        "executions": int(executions[1]) if executions else None,
        "branches": [int(reached[0]), int(reached[-1])] if reached else None,
        "exit": found.returncode,
        "crashes": sorted(path.name for path in folder.iterdir() if path.name.startswith(("crash", "timeout", "oom"))),
    }


def main(folder, seconds, names):
    """Prints one JSON line."""
    folder.mkdir(parents=True)
    if "run_folder" in names:
        out = folder / "out"
        words = [*RUN, f"--out={out}"]
        subprocess.run([sys.executable, "-m", "tf_tickets.main", *words], check=True, stdout=subprocess.DEVNULL)
    print(json.dumps({"seconds": seconds, "readers": {name: one(folder / name, name, seconds) for name in names}}))


if __name__ == "__main__":
    place, limit = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2])
    if sys.argv[3:4] == ["--child"]:
        fuzz(place, sys.argv[4], limit)
    else:
        main(place, limit, sys.argv[3:] or READERS)
