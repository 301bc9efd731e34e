"""Checks this program's own commands by the rules of `snippets`: as dry runs, or parsed whole.

Run alone, it reads jobs, pairs of words and of the page's files, from standard input as JSON, and writes what is wrong
with each: every job in a process of its own, since commands load plugins.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import pathlib
import sys
import tempfile


def problem_of_ours(words: list[str], files: dict[str, str]) -> str | None:
    """What is wrong with the words given to this program, by the rules of `snippets`.

    Args:
      words: TF_CONFIG=VALUE, then what stands after the program's name.
      files: the files that the page has, by name.
    """
    os.environ["TF_CONFIG"] = words[0].partition("=")[2]
    if not os.environ["TF_CONFIG"]:
        del os.environ["TF_CONFIG"]
    for name, text in files.items():
        pathlib.Path(name).write_text(text, encoding="utf-8")
    sys.path.insert(0, os.getcwd())
    from absl import flags

    from tf_tickets import main
    from tf_tickets.errors import TicketError
    from tf_tickets.settings import cli

    words = words[1:]
    try:
        _stand_in(words)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            request = cli.parse(["tf-tickets", *words], flags.FlagValues())
            if _is_planned(request):
                main.main(cli.parse(["tf-tickets", *words, "--dry_run"], flags.FlagValues()))
    except TicketError as error:
        return str(error)
    except SystemExit:  # help
        pass
    return None


def _is_planned(request):
    """Whether a command is a dry run, by rule 1 of `snippets`."""
    from tf_tickets.registry import DATASETS

    config, pruning = request.config, request.config.pruning
    if request.command not in ("imp", "train", "pretrain", "sweep", "tune"):
        return False
    known = DATASETS[config.data.dataset].facts is not None or config.data.dataset in ("folder", "arrays")
    return known and pruning.ticket is None and config.training.teacher is None


def _stand_in(words):
    """Puts what a command line takes for granted into the current folder."""
    from tf_tickets.models import description
    from tf_tickets.registry import COMMANDS

    weights = os.path.abspath("weights.safetensors")
    pathlib.Path(weights).write_bytes(_weights())
    # Those that are published may not be here.
    description.Published.find = property(lambda self: lambda: weights, lambda self, function: None)  # pyright: ignore
    # A pattern, and what a program prints, stand for two.
    words[:] = [path for word in words for path in ([word + "_1", word + "_2"] if _is_several(word) else [word])]
    command = words[0] if words and words[0] in COMMANDS else "imp"
    paths = COMMANDS[command].paths
    for word in words[words[:1] == [command] :]:
        name, _, value = word.partition("=")
        assert not value.startswith("/"), f"{word} names a folder of some machine"
        if name == "--pretrained" and value != "imagenet":
            _file(value, _weights())
        elif name in ("--ticket", "--teacher"):
            os.makedirs(value, exist_ok=True)
        elif name == "--data_dir":
            _pictures(value)
        elif name == "--data_file":
            _arrays(value)
        elif name in ("--archive", "--subset_file", "--labels_file"):
            _file(value, b"")
        elif name == "--flagfile" and os.path.basename(value) in ("config.cfg", "tuned.cfg"):  # which runs write
            _file(value, b"--flagfile=quickstart.cfg\n")
        elif not word.startswith("--") and paths is not None and paths.exist and word != "-":
            _file(word, b"") if "." in os.path.basename(word.strip(".")) else os.makedirs(word, exist_ok=True)


def _is_several(word):
    return not word.startswith("--") and ("*" in word or word == "PRINTED")


def _file(path, content):
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        pathlib.Path(path).write_bytes(content)


def _weights():
    import numpy as np
    import safetensors.numpy

    return safetensors.numpy.save({"x": np.zeros(1, np.float32)})


def _pictures(folder):
    """Two classes of twenty small pictures."""
    import numpy as np
    from PIL import Image

    for shade, name in enumerate(("cat", "dog")):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        for number in range(20):
            pixels = np.full((12, 12, 3), 100 * shade + number, np.uint8)
            Image.fromarray(pixels).save(os.path.join(folder, name, f"{number}.png"))


def _arrays(path):
    import numpy as np

    images = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3), np.uint8)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    np.savez(path, train_images=images, train_labels=np.arange(40) % 2)


def problems(jobs: list[tuple[list[str], dict[str, str]]]) -> list[str | None]:
    """What is wrong with commands of this program, each checked in a process and an empty folder of its own.

    Args:
      jobs: as the arguments of `problem_of_ours`.
    """
    answers = []
    for words, files in jobs:
        with tempfile.TemporaryDirectory() as folder:
            answer = pathlib.Path(folder, "answer.json")
            child = os.fork()
            if child == 0:
                os.mkdir(f"{folder}/page")
                os.chdir(f"{folder}/page")
                try:
                    problem = problem_of_ours(words, files)
                except BaseException as error:  # a defect, or a plugin that cannot be imported: the page is named
                    problem = f"{type(error).__name__}: {error}"
                answer.write_text(json.dumps(problem), encoding="utf-8")
                os._exit(0)
            os.waitpid(child, 0)
            answers.append(json.loads(answer.read_text(encoding="utf-8")))
    return answers


def _warm_up():
    """Loads what most commands need, once, before the processes part."""
    from tf_tickets import main
    from tf_tickets.settings.config import Config
    from tf_tickets.sweeps import sweep

    assert sweep
    main.plan_text("imp", Config(dataset="digits"))
    gc.freeze()


if __name__ == "__main__":
    _warm_up()
    json.dump(problems([(words, files) for words, files in json.load(sys.stdin)]), sys.stdout)
