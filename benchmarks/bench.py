"""What all benchmarks share: engines in processes of their own, one awake at a time; medians; the record in JSON."""

import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
BATCH = int(os.environ.get("BENCH_BATCH", 100))  # images of a training step
SIDE = 4096  # of the matrices whose product is the machine's peak


def environment(**changes):
    """This process's environment for a child: the checkout importable, TensorFlow quiet."""
    kept = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return kept | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | {k: str(v) for k, v in changes.items()}


class Engine:
    """A program that answers each line on its standard input with one line of JSON; stopped while others run.

    A stopped process holds no core: threads that spin while they wait would slow the engine that is measured.

    Attributes:
      facts: its first line.
    """

    def __init__(self, words, **changes):
        self._process = subprocess.Popen(
            [sys.executable, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment(**changes),
        )  # fmt: skip
        self.facts = self._read()
        self._process.send_signal(signal.SIGSTOP)

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"an engine ended with status {self._process.wait()}: its error stands above")
        return json.loads(line)

    def ask(self, request):
        """The answer to one line."""
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(f"{request}\n")
        self._process.stdin.flush()
        answer = self._read()
        self._process.send_signal(signal.SIGSTOP)
        return answer

    def close(self):
        """Ends the process; what it has to say is said, so one that hangs while its threads end is killed."""
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def serve(answer, facts=None):
    """The engine's side: prints `facts`, then `answer(line)` for every line of standard input."""
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(line.strip())), flush=True)


def interleaved(engines, requests, rounds):
    """Asks every engine in turn, `rounds` times, after one round that does not count.

    Args:
      engines: dict from name to Engine.
      requests: dict from name to what it is asked.
      rounds: at least five.

    Returns:
      dict from name to its answers, by round.
    """
    answers = {name: [] for name in engines}
    for number in range(-1, rounds):
        for name, engine in engines.items():
            answer = engine.ask(requests[name])
            if number >= 0:
                answers[name].append(answer)
    return answers


def ratio(first, second):
    """Median and quartiles of first / second, round by round."""
    ratios = [numerator / denominator for numerator, denominator in zip(first, second)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return {"median": statistics.median(ratios), "quartiles": [low, high]}


def machine():
    """Facts of this machine, for the header."""
    processor = platform.processor() or "unknown"
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        processor = names[0] if names else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": processor, "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory),
        "python": platform.python_version(), "load_before": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def header(facts):
    """The machine in one line; says when it was not quiet."""
    loud = f"; NOT QUIET: load {facts['load_before']} before the start" if facts["load_before"] > 0.5 else ""
    return f"{facts['cores']} cores of {facts['processor']}, {facts['memory_gib']} GiB, Python {facts['python']}{loud}"


def record(name, facts, numbers, out):
    """Writes results/benchmarks/NAME.json, or `out`, so that a later run can be held against it."""
    path = pathlib.Path(out or ROOT / "results" / "benchmarks" / f"{name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": facts, **numbers}, indent=1, sort_keys=True) + "\n")
    print(f"numbers: {path}")


def rows(titles, lines):
    """Prints aligned columns, the first to the left."""
    cells = [titles, *lines]
    widths = [max(len(str(line[column])) for line in cells) for column in range(len(titles))]
    for line in cells:
        print("  ".join(
            str(cell).ljust(width) if number == 0 else str(cell).rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths))
        ).rstrip())  # fmt: skip
