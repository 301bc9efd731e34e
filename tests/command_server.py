"""Commands in processes of their own, forked from one that has imported the program.

That saves 0.6 s of processor time each, and 4 s where TensorFlow is imported, too (`loaded`). As a script it serves:
each line of its standard input is a JSON object, `{"start": {...}}`, answered by the id of the process, or
`{"wait": id, "block": true}`, answered by its exit status, or null while it runs.
"""

import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAIN = os.path.join(ROOT, "tf_tickets", "main.py")


class Command:
    """A process that a server has forked; what subprocess.Popen has of the same names."""

    def __init__(self, server, words, pid, paths):
        self.args, self.pid, self.returncode = words, pid, None
        self._server, self._paths = server, paths

    def poll(self):
        """The exit status, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask({"wait": self.pid, "block": False})
        return self.returncode

    def send_signal(self, number):
        """Sends a signal to a process that still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout=600):
        """Waits; (output, errors) as text. After `timeout` seconds: killed, and subprocess.TimeoutExpired raised."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.kill()
                self.returncode = self._server.ask({"wait": self.pid, "block": True})
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.01)
        texts = []
        for path in self._paths:
            with open(path, encoding="utf-8") as file:
                texts.append(file.read())
        return tuple(texts)


class Server:
    """The process that forks. Where TensorFlow is not `loaded`, importing it ends a command with status 99."""

    def __init__(self, folder, tensorflow=False):
        """Starts it; `folder` is an empty one of its own."""
        self._folder, self._count, self._added = str(folder), 0, {}
        path = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
        if not tensorflow:
            with open(os.path.join(self._folder, "tensorflow.py"), "w") as file:
                file.write("import os\nos._exit(99)\n")
            path = os.pathsep.join([self._folder, ROOT])
            self._added = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, *(["tensorflow"] if tensorflow else [])], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path} | self._added, text=True,
        )  # fmt: skip

    def ask(self, question):
        """The answer to one question."""
        self._process.stdin.write(f"{json.dumps(question)}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, folder, words, code=None, environment=None, file_bytes=None):
        """Starts `python -m tf_tickets.main *words`, or `python -c code *words`, in a folder; returns a Command.

        Args:
          folder: working folder.
          words: arguments.
          code: Python to execute instead of the program.
          environment: all its variables; those of this process by default.
          file_bytes: how large a file of its may become; beyond, writing fails as on a full disk.
        """
        self._count += 1
        paths = [os.path.join(self._folder, f"{name}_{self._count}") for name in ("output", "errors")]
        words = [str(word) for word in words]
        job = {
            "folder": str(folder), "words": words, "code": code, "output": paths[0], "errors": paths[1],
            "environment": (dict(os.environ) if environment is None else environment) | self._added,
            "file_bytes": file_bytes,
        }  # fmt: skip
        return Command(self, words, self.ask({"start": job}), paths)

    def run(self, folder, words, **options):
        """The subprocess.CompletedProcess, with text, of what `start` starts."""
        command = self.start(folder, words, **options)
        command.returncode = self.ask({"wait": command.pid, "block": True})
        return subprocess.CompletedProcess(command.args, command.returncode, *command.communicate())

    def close(self):
        """Ends it."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@functools.cache
def loaded():
    """The server that has TensorFlow, the program, and the network of small_network; started when first asked for."""
    folder = tempfile.mkdtemp(prefix="commands_")
    server = Server(folder, tensorflow=True)

    def end():
        with contextlib.suppress(OSError):
            server.close()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return server


def serve(tensorflow):
    """Answers each line until there are no more."""
    import numpy  # noqa: F401  by now, as the program, so that each command has them

    from tf_tickets import main

    if tensorflow:
        import gc

        import small_network  # noqa: F401
        from torture import harness

        harness.load()
        gc.freeze()  # what the children share would be copied when their collections count references
    for line in sys.stdin:
        question = json.loads(line)
        if "start" in question:
            answer = os.fork()
            if answer == 0:
                execute(main, **question["start"])
        else:
            ended, status = os.waitpid(question["wait"], 0 if question["block"] else os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        print(json.dumps(answer), flush=True)


def execute(main, *, folder, words, code, environment, output, errors, file_bytes):
    """One command, as the interpreter would begin and end it; does not return."""
    status = 1
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
        tempfile.tempdir = None  # asked of the environment anew
        sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
        for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY), (2, errors, os.O_WRONLY)):
            opened = os.open(path, flags | (0 if number == 0 else os.O_CREAT | os.O_TRUNC), 0o600)
            os.dup2(opened, number)
            os.close(opened)
        if file_bytes is not None:
            import resource

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        sys.argv = [MAIN if code is None else "-c", *words]
        if code is None:
            main.entry_point()
        else:
            exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


if __name__ == "__main__":
    serve("tensorflow" in sys.argv[1:])
