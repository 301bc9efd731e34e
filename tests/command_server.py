"""Commands in processes of their own, forked from one that has imported the program: 0.6 s of processor time less each.

As a script it serves: each line of its standard input is a JSON [folder, words, environment, path of the output, path
of the errors], and is answered by a line with the exit status.
"""

import json
import os
import subprocess
import sys
import traceback

MAIN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tf_tickets", "main.py")


class Server:
    """The process that forks; importing TensorFlow ends a command with status 99."""

    def __init__(self, folder):
        """Starts it; `folder` is an empty one of its own."""
        self._folder = str(folder)
        with open(os.path.join(self._folder, "tensorflow.py"), "w") as file:
            file.write("import os\nos._exit(99)\n")
        path = os.pathsep.join([self._folder, os.path.dirname(os.path.dirname(MAIN))])
        self._added = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], env=os.environ | self._added, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def run(self, folder, words):
        """The subprocess.CompletedProcess, with text, of `python -m tf_tickets.main *words` in a folder."""
        paths = [os.path.join(self._folder, name) for name in ("output", "errors")]
        job = [str(folder), [str(word) for word in words], dict(os.environ) | self._added, *paths]
        self._process.stdin.write(f"{json.dumps(job)}\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        texts = []
        for path in paths:
            with open(path, encoding="utf-8") as file:
                texts.append(file.read())
        return subprocess.CompletedProcess(words, status, *texts)

    def close(self):
        """Ends it."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def serve():
    """Forks for each line until there are no more."""
    import numpy  # noqa: F401  by now, as the program, so that each command has them

    from tf_tickets import main

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            execute(main, *json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def execute(main, folder, words, environment, output, errors):
    """One command, as the interpreter would begin and end it; does not return."""
    status = 1
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[0] = folder
        for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY), (2, errors, os.O_WRONLY)):
            opened = os.open(path, flags | (0 if number == 0 else os.O_CREAT | os.O_TRUNC), 0o600)
            os.dup2(opened, number)
            os.close(opened)
        sys.argv = [MAIN, *words]
        main.entry_point()
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
    serve()
