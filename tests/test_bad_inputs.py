"""Bad data, images, tickets, grids and run folders, over every command: one line, exit 2, nothing touched.

Bad flags and flagfiles have test_flags_refused.py; damaged state, exit 3, has test_damages.py; hostile files
test_hostile.py.
"""

import io
import shutil

import numpy as np
import pytest
from absl import flags
from conftest import QUICK
from PIL import Image
from trees import tree

import tf_tickets as tt
from tf_tickets import errors, main, notices, stopping
from tf_tickets.data import folder as data_folder
from tf_tickets.settings import cli

DIGITS = ["--dataset=digits", "--model=vgg11", "--width=2", "--images=70", "--batch_size=20", "--epochs=5"]
PICTURES = ["--dataset=folder", "--data_dir=pictures", "--model=vgg11", "--width=2"]


def encoded(kind="PNG", shade=0, size=(40, 30), mode="RGB"):
    """Bytes of a picture."""
    file = io.BytesIO()
    Image.new(mode, size, shade if mode == "L" else (shade, 0, 0)[: len(mode)]).save(file, kind)
    return file.getvalue()


def folder(**odd):
    """Files of a folder of pictures, two classes of six; `odd` adds or, with None, removes some."""
    files = {
        f"pictures/{label}/{n}.png": encoded(shade=20 * n + 3 * (label == "b")) for label in "ab" for n in range(6)
    }
    for name, content in odd.items():
        files[f"pictures/{name}"] = content
    return {name: content for name, content in files.items() if content is not None}


def subset(*lines):
    """A subset file for digits."""
    return {"ids.txt": "\n".join(lines).encode()}


def npy(array):
    """Bytes of an .npy."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# command line (after {ticket} and {run}), files, what the message holds
CASES = [
    # imp: pictures
    (["--dataset=folder", "--data_dir=none"], {}, ["none", "--data_dir"]),
    (["--dataset=folder"], {}, ["--dataset=folder", "--data_dir"]),
    (["--dataset=folder", "--data_dir=a.png"], {"a.png": encoded()}, ["a.png", "--data_dir"]),
    (["--dataset=folder", "--data_dir=."], {"a.png": encoded()}, ["class"]),
    (PICTURES, {"pictures/a/0.png": encoded(), "pictures/a/1.png": encoded(shade=9)}, ["pictures", "class"]),
    (PICTURES, folder(**{"a/zero.png": b""}), ["zero.png", "no picture"]),
    (PICTURES, folder(**{"a/text.png": b"hello, this is no picture"}), ["text.png"]),
    (PICTURES, folder(**{"a/cut.jpg": encoded("JPEG", size=(300, 300))[:200]}), ["cut.jpg"]),
    (PICTURES, folder(**{"c/wide.png": encoded(size=(30000, 30000), mode="1"), "c/1.png": encoded()}), ["wide.png"]),
    (PICTURES, folder(**{f"c/{n}.png": encoded(shade=200) for n in range(1)}), ["class 'c'", "at least 2"]),
    ([*PICTURES, "--per_class=100"], folder(), ["--per_class=100"]),
    ([*PICTURES, "--labels=a"], folder(), ["--labels"]),
    # imp and train: which images
    ([*DIGITS, "--subset_file=ids.txt"], subset("1", "x"), ["--images", "--subset_file"]),
    ([*DIGITS[:3], "--subset_file=ids.txt"], subset("digits_0001", "x"), ["ids.txt", "'x'"]),
    ([*DIGITS[:3], "--subset_file=ids.txt"], subset("digits_0001", "digits_9999"), ["ids.txt", "digits_9999"]),
    ([*DIGITS[:3], "--subset_file=ids.txt"], subset("digits_0001", "digits_0001"), ["ids.txt", "more than once"]),
    ([*DIGITS[:3], "--subset_file=ids.txt"], subset(), ["ids.txt"]),
    ([*DIGITS[:3], "--subset_file=ids.txt"], {"ids.txt": b"\xff\xfe\x00"}, ["ids.txt"]),
    ([*DIGITS[:3], "--subset_file=."], {}, ["--subset_file=."]),
    (["--dataset=cub", "--data_dir=."], {}, ["cub"]),
    (["--dataset=cifair10", "--data_dir=."], {}, ["cifair10"]),
    (["--pretrained=none.npz"], {}, ["none.npz"]),
    # train: tickets
    (["train", "--ticket=none"], {}, ["--ticket=none"]),
    (["train", "--ticket=."], {}, [". is no ticket"]),
    (["train", *DIGITS, "--ticket={ticket}", "--width=4"], {}, ["--ticket=", "--width=2"]),
    (["train", *DIGITS, "--ticket={ticket}", "--model=vgg13"], {}, ["--ticket=", "--model=vgg11"]),
    (["train", "--ticket={ticket}", "--dataset=cifar10", "--model=vgg11", "--width=2"], {}, ["channels"]),
    # pretrain
    (["pretrain", *DIGITS, "--adversarial"], {}, ["--adversarial"]),
    (["pretrain", *DIGITS, "--validation=0.2"], {}, ["--validation"]),
    (["pretrain", *DIGITS, "--pretrained=x.npz"], {"x.npz": b""}, ["--pretrained"]),
    (["pretrain", *DIGITS, "--head=cosine"], {}, ["--head"]),
    # evaluate and analyze
    (["evaluate"], {}, ["run, round or ticket folders"]),
    (["evaluate", "none"], {}, ["none"]),
    (["evaluate", "."], {"a.txt": b""}, ["run"]),
    (["evaluate", "{ticket}", "--evaluators=clear"], {}, ["--evaluators=clear", "clean"]),
    (["evaluate", "{ticket}", "--restarts=2"], {}, ["--restarts", "pgd"]),
    (["evaluate", "{ticket}", "--test_images=5"], {}, ["--test_images", "corruptions"]),
    (["analyze", "{ticket}"], {}, ["--what"]),
    (["analyze", "{ticket}", "--what=colour"], {}, ["--what=colour"]),
    (["analyze", "none", "--what=density"], {}, ["none"]),
    (["analyze", "{ticket}", "--what=density", "--probe=digits"], {}, ["--probe"]),
    (["analyze", "{ticket}", "--what=probe", "--probe=nothing"], {}, ["--probe=nothing"]),
    # report
    (["report", "a.txt"], {"a.txt": b"x"}, ["a.txt"]),
    (["report", "a.csv"], {"a.csv": b"x,y\n1,2\n"}, ["a.csv"]),
    (["report", "."], {"a.txt": b"x"}, ["run"]),
    (["report", "{run}", "--out=a.txt"], {"a.txt": b"x"}, ["--out=a.txt"]),
    # export, verify, predict
    (["export", "none"], {}, ["none"]),
    (["export", "."], {"a.txt": b""}, ["."]),
    (["export", "{ticket}", "--format=onx"], {}, ["--format=onx"]),
    (["export", "{ticket}", "{ticket}"], {}, ["stray"]),
    (["verify", "none"], {}, ["none"]),
    (["verify", "."], {"ticket.npz": b""}, ["ticket"]),
    (["verify"], {}, ["verify"]),
    (["predict", "{ticket}"], {}, ["needs a ticket", "pictures"]),
    (["predict", "none", "a.png"], {"a.png": encoded()}, ["none"]),
    (["predict", "{ticket}", "none.png"], {}, ["none.png"]),
    (["predict", "{ticket}", "a.png"], {"a.png": b"no picture"}, ["a.png"]),
    (["predict", "{ticket}", "a.png"], {"a.png": encoded()[:40]}, ["a.png"]),
    (["predict", "{ticket}", "a.npy"], {"a.npy": npy(np.zeros((2, 9, 9, 3), np.uint8))}, ["a.npy"]),
    (["predict", "{ticket}", "."], {}, ["."]),
    (["predict", "{ticket}", "a.png", "--top_k=0"], {"a.png": encoded()}, ["--top_k=0"]),
    (["predict", "{ticket}", "a.png", "--format=xml"], {"a.png": encoded()}, ["--format=xml"]),
    # prepare
    (["prepare", "cifar", "--archive=a"], {"a": b""}, ["cifar"]),
    (["prepare", "cifar10", "--archive=none"], {}, ["none"]),
    (["prepare", "cifar10", "--archive=a.tgz", "--data_dir=d"], {"a.tgz": b"no archive"}, ["a.tgz"]),
    (["prepare", "cifar10", "--archive=a.tgz", "--data_dir=d"], {"a.tgz": b""}, ["a.tgz"]),
    (["prepare", "digits", "--archive=a"], {"a": b""}, ["digits"]),
    # sweep
    (["sweep"], {}, ["--sweep"]),
    (["sweep", "--sweep=seed"], {}, ["--sweep", "seed"]),
    (["sweep", "--sweep=seed=0..x"], {}, ["0..x"]),
    (["sweep", "--sweep=seed=3..1"], {}, ["3..1"]),
    (["sweep", "--sweep=colour=1,2"], {}, ["colour"]),
    (["sweep", "--sweep=seed+epochs=0+3+4"], {}, ["seed=0+3+4"]),
    (["sweep", "--sweep=seed=0,0"], {}, ["seed"]),
    (["sweep", "--sweep=command=verify"], {}, ["command"]),
    (["sweep", "--sweep=grid.sweep"], {}, ["grid.sweep"]),
    (["sweep", "--sweep=grid.sweep"], {"grid.sweep": b"# nothing\n"}, ["grid.sweep"]),
    (["sweep", "--sweep=seed=0,1", "--workers=0"], {}, ["--workers=0"]),
]  # fmt: skip


@pytest.fixture(autouse=True)
def looked_at_anew():
    """Pictures are looked at once per process; every case has its own."""
    data_folder.scan.cache_clear()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run of digits."""
    return tt.imp(tt.Config.from_values(**QUICK | {"rounds": 1}, out=str(tmp_path_factory.mktemp("bad")))).folder


@pytest.mark.parametrize("number", range(len(CASES)), ids=[" ".join(words) for words, _, _ in CASES])
def test_bad_input_is_one_line_and_touches_nothing(made, tmp_path, number, monkeypatch, capfd):
    words, files, parts = CASES[number]
    if any("{" in word for word in words):
        shutil.copytree(made, tmp_path / "run")
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    before = tree(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("leave_at_once", "ignore"):  # signals are this process's own
        monkeypatch.setattr(stopping, name, lambda: None)
    try:
        given = [word.format(ticket="run/ticket", run="run") for word in words]
        request = cli.parse(["tf-tickets", *given], flags.FlagValues())
        status = main._run(request)
    except errors.UsageError as error:
        status = error.exit_status
        notices.say(errors.plain(error))
    out, err = capfd.readouterr()
    assert (status, out) == (2, ""), err
    assert err.startswith("tf-tickets: ") and err.count("\n") == 1, err
    assert all(part in err for part in parts), err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("flag", ["--adversarial", "--validation=0.2", "--pretrained=x.npz", "--head=cosine"])
def test_flags_that_pretrain_refuses_are_refused_before_tensorflow_loads(command, tmp_path, flag):
    done = command(tmp_path, "pretrain", *DIGITS, flag)
    assert done.returncode == 2 and flag.split("=")[0] in done.stderr and tree(tmp_path) == {}
