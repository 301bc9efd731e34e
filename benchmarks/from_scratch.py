"""Minutes on the clock from a fresh clone to tables of one's own photographs, as the README says, each command once.

    python benchmarks/from_scratch.py [--per_class=50] [--classes=10] [--out=results/own_pictures/minutes.json]

The photographs are those of photographs.py. Everything is made in a temporary folder: the clone of the last commit, a
virtual environment, the runs. What is downloaded is what pip downloads.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import bench
import photographs

PYTHON = ".venv/bin/python"
MAIN = f"{PYTHON} -m tf_tickets.main"
RECIPE = "--flagfile=flags/my_images_pretrained.cfg --data_dir=../pictures"
COMMANDS = {
    "install": f"{sys.executable} -m venv .venv && {PYTHON} -m pip install --quiet -e .[lite0]",
    "advise": f"{MAIN} advise ../pictures --out=../advice",
    "probe": f"{MAIN} train --control=probe {RECIPE} --out=../runs",
    "search": f"{MAIN} {RECIPE} --out=../runs",
    "report": f"{MAIN} report ../runs --out=../report",
}


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--per_class", type=int, default=50)
    parser.add_argument("--out")
    given = parser.parse_args()
    photographs.CLASSES, photographs.COUNT = given.classes, given.classes * given.per_class
    facts, seconds = bench.machine() | {"photographs": photographs.COUNT, "classes": given.classes}, {}
    print(bench.header(facts))
    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root)
        (folder / "pictures").mkdir()
        photographs.make(folder / "pictures")
        subprocess.run(["git", "clone", "--quiet", bench.ROOT, folder / "clone"], check=True)
        for name, command in COMMANDS.items():
            began = time.monotonic()
            subprocess.run(command, shell=True, cwd=folder / "clone", check=True)
            seconds[name] = time.monotonic() - began
    seconds["in all"] = sum(seconds.values())
    bench.rows(("what", "minutes"), [(name, f"{value / 60:.1f}") for name, value in seconds.items()])
    bench.record("from_scratch", facts, {"seconds": seconds}, given.out)


if __name__ == "__main__":
    main()
