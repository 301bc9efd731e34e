"""Odd picture files against every reader: the look, the dry run's scan, training and prediction say the same.

python -m torture.pictures FOLDER [EVERY [SEED]]: takes every EVERY-th case of `odd_pictures`, prints counts as JSON.
"""

import collections
import faulthandler
import json
import os
import shutil
import sys
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what TensorFlow's decoders log of each damaged file

import numpy as np
from torture import odd_pictures

from tf_tickets.backend import tf
from tf_tickets.data import encoding, folder, photographs, pictures, sources, unlabelled
from tf_tickets.errors import UsageError
from tf_tickets.experiments import plan_pictures

BATCH = 250
# What one file may take; the process ends with a traceback of all threads after it.
SECONDS = 20
# A ticket of small pictures, and one of photographs, which sees crops.
TICKETS = {"small": {"image_shape": [8, 8, 3]}, "crops": {"image_shape": [16, 16, 3], "any_size": True}}


def answer(function, *arguments):
    """(what a reader gives, None), or (None, its one line); every other error is a finding."""
    try:
        return function(*arguments), None
    except UsageError as error:
        return None, str(error)


class Check:
    """The answers about a batch of files, and where they differ.

    Attributes:
      wrong: sentences.
      counts: cases by kind and by used, refused.
      slowest: seconds, of all readers of one file.
    """

    def __init__(self):
        self.wrong, self.counts, self.slowest = [], collections.defaultdict(collections.Counter), 0.0

    def batch(self, root, cases):
        """Writes the cases as class `a` of a folder, beside a class of whole pictures, and asks every reader."""
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(f"{root}/a"), os.makedirs(f"{root}/b")
        for number in range(2):
            for label in "ab":
                picture = odd_pictures.noise(np.random.default_rng([number, ord(label)]), 30, 31)
                odd_pictures.Image.fromarray(picture).save(f"{root}/{label}/whole {number}.png")
        problems = {}
        for number, (kind, name, content, expected) in enumerate(cases):
            path = f"{root}/a/{number:04d}"
            content(path) if callable(content) else _write(path, content)
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            start = time.perf_counter()
            try:
                problem = self._file(path, f"{kind}: {name}", expected)
            except Exception as error:  # what a user would see as a traceback
                self.wrong.append(f"{kind}: {name}: {type(error).__name__}: {error}")
                problem = "traceback"
            self.slowest = max(self.slowest, time.perf_counter() - start)
            faulthandler.cancel_dump_traceback_later()
            self.counts[kind]["refused" if problem else "used"] += 1
            if problem:
                problems[path] = problem
        faulthandler.dump_traceback_later(SECONDS * 10, exit=True)
        self._folder(root, problems, len(cases))
        faulthandler.cancel_dump_traceback_later()

    def _file(self, path, name, expected):
        """The line that refuses the file, or None."""
        with photographs.quiet():
            facts, problem = answer(photographs.look, path)
            answers = {"pixel digest": answer(photographs.pixel_digest, path)}
        for channels in (1, 3):
            answers[f"pixels {channels}"] = answer(photographs.pixels, path, channels)
            answers[f"encoded {channels}"] = answer(encoding.encoded, path, channels)
        for ticket, data in TICKETS.items():
            answers[f"predict {ticket}"] = answer(unlabelled.pixels, path, data)
        for reader, (_, line) in answers.items():
            if line != problem:
                self.wrong.append(f"{name}: {reader} says {line}, look {problem}")
        if problem and (not problem.startswith(path) or "\n" in problem or len(problem) > 600):
            self.wrong.append(f"{name}: a line of another form: {problem}")
        if expected is False and not problem or expected is not None and expected is not False and problem:
            self.wrong.append(f"{name}: {problem or 'is used'}")
        if problem is None and not any(line for _, line in answers.values()):
            self._pixels(name, facts, {reader: given for reader, (given, _) in answers.items()}, expected)
        return problem

    def _pixels(self, name, facts, given, expected):
        """What the readers give of a file that they use."""
        for channels in (1, 3):
            self._decoders(name, facts, given[f"pixels {channels}"], given[f"encoded {channels}"], expected is not None)
        if isinstance(expected, np.ndarray):
            whole = given[f"pixels {expected.shape[2]}"]
            if whole.shape != expected.shape or (whole != expected).any():
                self.wrong.append(f"{name}: is not upright")
        for ticket, data in TICKETS.items():
            if list(given[f"predict {ticket}"].shape) != data["image_shape"]:
                self.wrong.append(f"{name}: predicted of shape {given[f'predict {ticket}'].shape}")

    def _decoders(self, name, facts, whole, data, is_sound):
        """What training decodes is what Pillow does."""
        channels = whole.shape[2]
        if whole.shape != (facts.height, facts.width, channels):
            self.wrong.append(f"{name}: {whole.shape}, looked like {facts}")
        decoded = pictures.decode(tf.constant(data), channels).numpy()
        if min(whole.shape[:2]) > photographs.SHORTER_SIDE:
            return
        if decoded.shape != whole.shape:
            self.wrong.append(f"{name}: trained on as {decoded.shape}, is {whole.shape}")
        elif is_sound:
            # TensorFlow's decoder of JPEG is the quick one, which noise at quality 100 shows; all else is exact.
            far = np.abs(decoded.astype(int) - whole).mean()
            if far > (12.0 if data[:2] == b"\xff\xd8" else 0.0):
                self.wrong.append(f"{name}: trained on with pixels {far:.1f} grey levels off")

    def _folder(self, root, problems, count):
        """The same files as a folder: what the scan, the dry run, training and prediction make of it."""
        folder.scan.cache_clear()
        refused, printed = (), []
        try:
            folder.scan(root)
        except folder.Unusable as error:
            refused, printed = error.problems, error.args[0]
        if sorted(refused) != sorted(problems.values()):
            odd = sorted({*refused} ^ {*problems.values()})
            self.wrong.append(f"the scan refuses others: {odd[:3]}")
        if len(refused) > 1 and f" {len(refused):,} files " not in printed:
            self.wrong.append(f"the scan's line does not count: {printed}")
        left = []
        found = [path for path in unlabelled.files(root, left) if os.path.basename(path)[:5] != "whole"]
        if left or len(found) != count:
            self.wrong.append(f"predict sees {len(found)} of {count} files, and says {left}")
        for path in problems:
            os.remove(path)
        folder.scan.cache_clear()
        scanned = folder.scan(root)
        if len(scanned.pictures) + sum("which alone is used" in n for n in scanned.notices) > 4 + count - len(problems):
            self.wrong.append("the scan has more pictures than there are")
        if "decoded and found whole" not in plan_pictures.text(scanned):
            self.wrong.append("the dry run says nothing of the pictures")
        source = sources.load("folder", root)
        for data in [*source.images(np.arange(len(source.ids))), *source.test()[0]]:
            if scanned.data_set.encoded:
                pictures.decode(tf.constant(data), scanned.data_set.image_shape[2])


def _write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def _step(kind, every):
    """Files that were made by hand are each odd in a way of their own, and are taken five times as often."""
    return every if kind in ("cut", "changed") else max(every // 5, 1)


def run(root, every=1, seed=0):
    """Checks every `every`-th case; returns what was found."""
    check, start = Check(), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow's writers
        chosen = [case for number, case in enumerate(odd_pictures.cases(seed)) if number % _step(case[0], every) == 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning beside the one line is a line too many
        for first in range(0, len(chosen), BATCH):
            check.batch(root, chosen[first : first + BATCH])
    return {
        "cases": len(chosen), "wrong": check.wrong, "by": check.counts, "slowest seconds": round(check.slowest, 2),
        "seconds": round(time.perf_counter() - start, 1),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], *map(int, sys.argv[2:]))))
