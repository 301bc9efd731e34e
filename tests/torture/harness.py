"""A process that has TensorFlow loaded and forks a child per run, so that hundreds of runs take minutes."""

import ctypes
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # what TensorFlow says of missing GPUs is not ours

# Two rounds with a rewind point, augmentation, a validation part and all a run writes, in about two seconds.
SETTINGS = {
    "dataset": "digits", "model": "vgg11", "images": 70, "width": 2, "epochs": 3, "rounds": 2, "rewind": "epoch:1",
    "batch_size": 20, "progress": "none", "validation": "0.2",
}  # fmt: skip


def with_faults(module, folder):
    """Starts a module of this folder anew with `faults.c`, built in `folder`, between the process and its files."""
    os.makedirs(folder, exist_ok=True)
    library = os.path.join(os.path.abspath(folder), "faults.so")
    if os.environ.get("FAULTS") == library:
        return
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "faults.c", "-ldl"], check=True)
    environment = {**os.environ, "LD_PRELOAD": library, "FAULTS": library}
    os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)


class Faults:
    """The counters and the trigger inside this process."""

    KINDS = ("open", "write", "sync", "truncate", "rename", "remove", "make")

    def __init__(self):
        self._library = ctypes.CDLL(os.environ["FAULTS"])
        self._library.faults_total.restype = self._library.faults_count.restype = ctypes.c_long

    def arm(self, folder, call=0, action=0):
        """Counts calls below `folder`; at the `call`-th sends a signal (9) or fails with a negative errno."""
        self._library.faults_arm(os.fsencode(os.path.abspath(folder)), ctypes.c_long(call), action)

    def counts(self):
        """Calls so far, by kind."""
        found = {kind: self._library.faults_count(number) for number, kind in enumerate(self.KINDS)}
        return found | {"total": self._library.faults_total()}


def load():
    """Imports, in the parent, all that a run needs; starts no device, so that children can be forked."""
    import sklearn.datasets  # noqa: F401

    import tf_tickets.main  # noqa: F401
    from tf_tickets.data import pipeline, sources  # noqa: F401
    from tf_tickets.experiments import imp, run_scalars, session  # noqa: F401
    from tf_tickets.export import verify, writer  # noqa: F401
    from tf_tickets.report import command  # noqa: F401


def words(out, settings=None):
    """The command line of a run."""
    return ["imp", *(f"--{name}={value}" for name, value in {**(settings or SETTINGS), "out": out}.items())]


def fork(arguments, log, before=lambda: None, after=lambda: None):
    """Starts `python -m tf_tickets.main ARGUMENTS` in a forked child, its standard error in `log`; returns its id."""
    child = os.fork()
    if child:
        return child
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(descriptor, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        from absl import flags

        from tf_tickets import main, stopping

        stopping.listen()
        before()
        try:
            request = main._parse(["tf-tickets", *arguments])
            flags.FLAGS.mark_as_parsed()
            status = main._run(request)
        except SystemExit as leaving:
            status = leaving.code
        after()
        os._exit(status)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def status(child):
    """Waits for a child; its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(arguments, log, before=lambda: None, after=lambda: None):
    """`fork` and `status`."""
    return status(fork(arguments, log, before, after))
