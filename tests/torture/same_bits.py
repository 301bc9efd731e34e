"""Same settings, same bits, whatever does not belong to the settings.

cd tests; python -m torture.same_bits FOLDER
"""

import json
import os
import sys
import time

import trees
from torture import harness

SETTINGS = {name: value for name, value in harness.SETTINGS.items() if name != "validation"} | {"rounds": 3}


def input_threads(count):
    """Pictures are loaded by so many threads."""

    def patch():
        from tf_tickets.backend import tf

        original = tf.data.Dataset.map

        def mapped(self, function, num_parallel_calls=None, **options):
            wanted = None if num_parallel_calls is None else count
            return original(self, function, num_parallel_calls=wanted, **options)

        tf.data.Dataset.map = mapped

    return patch


def one_step_a_block():
    """No two steps run without Python between them."""
    from tf_tickets.training import fit

    fit._BLOCK_SECONDS = 1e-9


def a_checkpoint_after_every_block():
    """Checkpoints however often."""
    from tf_tickets.training import checkpoints

    checkpoints._WRITING_SHARE = 1e9


# How often was evaluated stands in the rows of epochs, and in the checkpoint that holds them.
ROWS = ("epochs.csv", "table.csv", "checkpoint-a.npz")
# name -> (flags of each process in turn, what is patched, what may differ)
VARIANTS = {
    **{f"repeat {number}": ([{}], None, ()) for number in range(1, 6)},
    "1 input thread": ([{}], input_threads(1), ()),
    "8 input threads": ([{}], input_threads(8), ()),
    "one step per execution": ([{}], one_step_a_block, ()),
    "a checkpoint after every block": ([{}], a_checkpoint_after_every_block, ()),
    "evaluation after every epoch": ([{"eval_every": 1}], None, ROWS),
    "evaluation after the last epoch": ([{"eval_every": 99}], None, ROWS),
    "profiling": ([{"profile_steps": "2:5"}], None, ()),
    "no TensorBoard": ([{"tensorboard": "false"}], None, ()),
    "a process per round": ([{"rounds": 1}, {"rounds": 2}, {}], None, ()),
}


def main(folder):
    """Prints one JSON line."""
    began = time.monotonic()
    harness.load()
    os.makedirs(folder, exist_ok=True)
    log, results, whole = os.path.join(folder, "log"), {}, None
    for name, (processes, patch, differing) in VARIANTS.items():
        out = os.path.join(folder, name.replace(" ", "_"))
        for changes in processes:
            if harness.run(harness.words(out, SETTINGS | changes), log, patch or (lambda: None)):
                raise SystemExit(f"{name}: {open(log).read()}")
        found = trees.contents(trees.only_run(out))
        whole = whole or found
        unequal = sorted(
            file for file in whole.keys() | found.keys()
            if whole.get(file) != found.get(file) and not file.endswith(differing or ("/",))
        )  # fmt: skip
        results[name] = unequal or "equal"
        print(f"{name}: {results[name]}", file=sys.stderr)
    print(json.dumps({"files": len(whole), "variants": results, "seconds": round(time.monotonic() - began)}))


if __name__ == "__main__":
    main(sys.argv[1])
