"""The kinds of files that `export` writes: what each is written from, and how what lies there predicts.

A kind writes its files into a folder and gives a function that predicts from them; `formats` compares, times and places
what it wrote.
"""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator

import numpy as np

from tf_tickets import leftovers, runs, storage
from tf_tickets.export import exported_files, file_facts, origin, samples
from tf_tickets.export.ticket import Ticket, check_free
from tf_tickets.registry import NETWORKS
from tf_tickets.settings import checks
from tf_tickets.settings.places import Place

Predictor = Callable[[np.ndarray], np.ndarray]
# Of float32 files: rounding alone stays a thousand times below. Fewer bits are the user's choice, and only reported.
_ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True)
class Job:
    """A ticket and what its files share, each made when first asked for."""

    ticket: Ticket
    metrics: dict
    test_images: int | None
    run: runs.RunFolder | None
    place: Place

    @functools.cached_property
    def facts(self) -> dict:
        """What the documents of tickets and runtime.npz hold."""
        from tf_tickets.export import writer

        return writer.facts(self.ticket, self.metrics, self.test_images)

    @functools.cached_property
    def sample(self) -> samples.Sample:
        """The images to calibrate and compare on."""
        return samples.of(self.ticket, self.run, self.place)

    @functools.cached_property
    def expected(self) -> np.ndarray:
        """The ticket's own probabilities of the images to compare on."""
        return self.ticket.predict(self.sample.compared)

    @functools.cached_property
    def network(self) -> tuple:
        """The network as TensorFlow Lite's converter takes it."""
        from tf_tickets.export import tflite

        return tflite.function(self.ticket)

    @functools.cached_property
    def onnx(self) -> bytes:
        """The ticket as ONNX in float32."""
        from tf_tickets.export import onnx_file

        return onnx_file.convert(self.ticket)

    @functools.cached_property
    def compiler(self) -> list[str] | None:
        """The command of the C compiler, or None."""
        from tf_tickets.export.c_source import builds

        return builds.compiler()

    @functools.cached_property
    def threads(self) -> int:
        """On how many threads files are timed."""
        from tf_tickets import backend

        return backend.threads()


class Kind:
    """A kind of file; what derives from it says what is not as here.

    Attributes:
      files: the names of what it writes.
      shown: how they are called together; empty: as the first one.
      most: the largest difference to the ticket's own probabilities with which it is written.
      of_program: whether it is written from the program of `tf_tickets.runtime`.
      calibrated: whether it is calibrated on images.
      trained_on: whether those have to be the ticket's training images.
    """

    files: tuple[str, ...]
    shown: str = ""
    most: float = 1.0
    of_program: bool = False
    calibrated: bool = False
    trained_on: bool = False

    def missing(self) -> str | None:
        """What is not installed that it needs, in words; None where all is."""
        return None

    def obstacle(self, ticket: Ticket, missing: str | None) -> str | None:
        """Why a ticket cannot have it, in words; None where it can. `missing`: why its images are not there."""
        odd = next((name for name in _networks(ticket) if not NETWORKS[name].runtime), None)
        if self.of_program and odd:
            return f"{odd} is no network of the runtime's: its SavedModel, or TFLite, serves it"
        if self.calibrated and ticket.data.get("dtype", "uint8") != "uint8":
            return f"8 bits do not hold the pixels of 16 bits of {ticket.data['dataset']}"
        if self.calibrated and missing:
            return f"it is calibrated on images, and {missing} ({origin.wanted(ticket)} says where)"
        return None

    def write(self, job: Job, folder: str) -> None:
        """Writes its files into a folder; StateError where the ticket's numbers cannot be written so."""
        raise NotImplementedError

    def check(self, out: str) -> None:
        """UsageError where its files cannot get their names in a folder: files that `export` did not write stay."""
        for file in self.files:
            exported_files.check_replaceable(os.path.join(out, file))

    def remove_forsaken(self, out: str) -> None:
        """Removes what killed processes were writing of its files into a folder."""
        for folder in {os.path.dirname(os.path.join(out, file)) for file in self.files}:
            leftovers.remove_forsaken(folder)

    def compares(self, job: Job) -> bool:
        """Whether what it writes can be executed here."""
        return True

    @contextlib.contextmanager
    def predicting(self, job: Job, folder: str) -> Iterator[Predictor | None]:
        """Its `predictor` for a while; None where what it writes cannot be executed here."""
        yield self.predictor(job, folder)

    def predictor(self, job: Job, folder: str) -> Predictor:
        """A function from stored images to class probabilities, by nothing but the files in a folder."""
        raise NotImplementedError

    def threads(self, job: Job) -> int:
        """How many threads that function computes on."""
        return job.threads


def _networks(ticket):
    return [member.network["name"] for member in ticket.members]


class _TicketFolder(Kind):
    files = ("ticket",)

    def check(self, out):
        check_free(os.path.join(out, "ticket"))

    def write(self, job, folder):
        job.ticket.save(os.path.join(folder, "ticket"), job.metrics, job.test_images)

    def predictor(self, job, folder):
        from tf_tickets.export import saved_model

        return saved_model.predictor(os.path.join(folder, "ticket"))


class _RuntimeFile(Kind):
    files, most, of_program = ("runtime.npz",), _ROUNDING, True

    def write(self, job, folder):
        from tf_tickets.export import runtime_file

        runtime_file.write(job.ticket, job.facts, os.path.join(folder, "runtime.npz"))

    def predictor(self, job, folder):
        from tf_tickets.export import runtime_file

        return runtime_file.predictor(os.path.join(folder, "runtime.npz"))


class _TensorFlowLite(Kind):
    def __init__(self, name, file, most=1.0):
        self._name, self.files, self.most, self.calibrated = name, (file,), most, name == "tflite_int8"

    def missing(self):
        from tf_tickets.export import tflite

        return tflite.missing()

    def write(self, job, folder):
        from tf_tickets.export import tflite

        data = tflite.convert(job.network, self._name, job.sample.calibration)
        storage.write_bytes(os.path.join(folder, self.files[0]), file_facts.with_facts(data, job.ticket))

    def predictor(self, job, folder):
        from tf_tickets.export import tflite

        return tflite.predictor(_read(folder, self.files[0]), job.threads)


class _Onnx(Kind):
    of_program = True

    def __init__(self, file, most=1.0, calibrated=False):
        self.files, self.most, self.calibrated, self.trained_on = (file,), most, calibrated, calibrated

    def missing(self):
        return exported_files.onnx_missing()

    def write(self, job, folder):
        from tf_tickets.export import onnx_file

        data = onnx_file.quantised(job.onnx, job.sample.calibration) if self.calibrated else job.onnx
        storage.write_bytes(os.path.join(folder, self.files[0]), data)

    def predictor(self, job, folder):
        from tf_tickets.export import onnx_file

        return onnx_file.predictor(_read(folder, self.files[0]), job.threads)


class _CSource(Kind):
    of_program = True

    def __init__(self, name, most=1.0, quantised=False):
        self._name, self.shown, self.most, self._quantised = name, name, most, quantised
        self.files = tuple(os.path.join(name, file) for file in ("ticket.c", "ticket.h"))

    def obstacle(self, ticket, missing):
        left = sum(int(mask.sum()) for member in ticket.members for mask in member.masks.values())
        if left > checks.MOST_IN_C:
            return (
                f"its {left:,} weights as text are more than the {checks.MOST_IN_C:,} that C compilers take in a minute"
            )
        return super().obstacle(ticket, missing)

    def check(self, out):
        storage.check_writable(os.path.join(out, self._name))
        super().check(out)

    def write(self, job, folder):
        from tf_tickets.export.c_source import files_text

        files_text.write(job.ticket, os.path.join(folder, self._name), self._quantised)

    def compares(self, job):
        return job.compiler is not None

    @contextlib.contextmanager
    def predicting(self, job, folder):
        from tf_tickets.export.c_source import builds

        if job.compiler is None:
            yield None
            return
        with builds.Program(os.path.join(folder, self._name), len(job.ticket.labels), job.compiler) as program:
            yield lambda images: program.answers(images)[1]

    def threads(self, job):
        return 1


def _read(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


# In the order of settings.checks.EXPORTS.
KINDS: dict[str, Kind] = {
    "ticket": _TicketFolder(),
    "runtime": _RuntimeFile(),
    "tflite": _TensorFlowLite("tflite", "ticket.tflite", _ROUNDING),
    "tflite_float16": _TensorFlowLite("tflite_float16", "ticket_float16.tflite"),
    "tflite_int8": _TensorFlowLite("tflite_int8", "ticket_int8.tflite"),
    "onnx": _Onnx("ticket.onnx", _ROUNDING),
    "onnx_int8": _Onnx("ticket_int8.onnx", calibrated=True),
    "c": _CSource("c", _ROUNDING),
    "c_int8": _CSource("c_int8", quantised=True),
}
