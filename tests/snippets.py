"""Takes command lines and Python code from pages; the rules by which each is checked.

Commands are those that bash makes of a block, with its loops, variables and quotes; nothing of the block is executed.
What stands for files of the reader's own (`runs/...`, `pictures`, `FILE`) is put into an empty folder in which the
command is checked, by the first of these rules that suits it:

1. `imp`, `train`, `pretrain`, `sweep` and `tune` are dry runs, of all data sets whose facts the program knows, and of
   the reader's own pictures and arrays, for which small ones stand in. A ticket or a teacher has to be a finished run:
   `train` with one, and runs of data sets that TFDS or a plugin has, come under 2.
2. Other commands are parsed whole: flags, values, flagfiles, and whether paths and flags belong to the command.
3. `python FILE` and `bash FILE`: the file is in the repository, and its source has the flags that are given.
4. `pip install`: the extras and the files of requirements are there.
5. Other programs have to be in `TOOLS`.

`snippet_commands` has the first two. Python code is compiled; in it each name of the program has to be there, and each
call one that the function takes: arguments by name, and values of settings (`snippet_code`). That it runs,
test_page_code.py shows.
"""

from __future__ import annotations

import configparser
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import typing

ROOT = pathlib.Path(__file__).parent.parent
PROGRAMS = ("python", "python3", "tf-tickets", "pip", "bash")
# Programs that pages call beside ours.
TOOLS = {
    "basedpyright", "cc", "dirname", "git", "grep", "gunzip", "lint-imports", "mkdocs", "npm", "openssl", "ruff",
    "sbatch", "sphinx-build", "tensorboard", "unzip", "uv",
}  # fmt: skip
# What stands before a program and changes none of its flags: words that follow it belong to it.
_BEFORE = {"taskset": 3, "nice": 3, "nohup": 1, "time": 1}
_FENCE = re.compile(r"^( *)(```+|~~~+) *(\w*)[^\n]*\n(.*?)^\1\2 *$", re.DOTALL | re.MULTILINE)
_FIRST = "|".join(map(re.escape, ["for", "export", *PROGRAMS, *sorted(TOOLS), *_BEFORE]))
_COMMAND = re.compile(rf"^\s*(?:\$ )?(?:\w+=\S*\s+)*(?:{_FIRST}|--\w[\w=]*)(?=\s|$|=)")
# bash executes nothing: no program is found, and what it would call is written down, with the one variable that counts.
# What a program would print into the block is PRINTED.
_RECORDER = """
PATH=/nonexistent
exec 3>"$1"
command_not_found_handle() { printf '%s\\0' "$(($# + 1))" "TF_CONFIG=$TF_CONFIG" "$@" >&3; echo PRINTED; }
cd() { :; }
source() { :; }
.() { :; }
exit() { :; }
eval "$BLOCK" >/dev/null 2>&1
"""


class Block(typing.NamedTuple):
    """A fenced block: its language, as written, its text, and the line of the page that it begins at."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page in Markdown, without their indentation."""
    return [
        Block(match[3].lower(), re.sub(rf"(?m)^{match[1]}", "", match[4]), page[: match.start()].count("\n") + 1)
        for match in _FENCE.finditer(page)
    ]


def of_notebook(text: str) -> list[Block]:
    """The code cells of a notebook as blocks of Python, and the fenced blocks of its text."""
    found = []
    for number, cell in enumerate(json.loads(text)["cells"], 1):
        source = "".join(cell["source"])
        lines = [line for line in source.splitlines() if not line.startswith(("%", "!"))]
        code = [Block("python", "\n".join(lines) + "\n", number)]
        found += code if cell["cell_type"] == "code" else blocks(source)
    return found


def of_recipe(text: str) -> list[Block]:
    """The command at the head of a flagfile or a grid."""
    return [Block("bash", "\n".join(re.findall(r"(?m)^# (python .*)$", text)), 1)]


def named_file(block: Block) -> str | None:
    """The name of the file that a block is, as its first line says: `# nets.py`."""
    match = re.match(r"# ([\w.]+\.(?:py|cfg|sweep))\n", block.text)
    return match[1] if match else None


def is_shell(block: Block) -> bool:
    """Whether a block holds commands: it says so, or a line begins with a program or is made of flags."""
    if block.language in ("bash", "sh", "shell", "console"):
        return True
    untold = named_file(block) is None and block.language in ("", "text")
    return untold and any(map(_COMMAND.match, block.text.splitlines()))


def is_python(block: Block) -> bool:
    """Whether a block holds Python."""
    return block.language in ("python", "py", "pycon")


def commands(text: str) -> list[list[str]]:
    """The commands that bash makes of a block: of each TF_CONFIG=VALUE and its words.

    `<words>` stand for a word, `[words]` for flags that are left out. Where some lines begin with `$ ` the others are
    output.

    Raises:
      ValueError: bash cannot read it.
    """
    text = re.sub(r"<[a-z][^<>|&;\n]*>", "placeholder", text)
    text = re.sub(r"(?<=\s)\[[^\[\]\n]*\](?=\s|$)", "", text)
    if re.search(r"(?m)^\$ ", text):
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
    bash, environment = shutil.which("bash") or "/bin/bash", {"BLOCK": text, "TF_CONFIG": ""}
    checked = subprocess.run([bash, "-n"], input=text, capture_output=True, text=True, env=environment)
    if checked.returncode:
        raise ValueError(checked.stderr.strip().splitlines()[0])
    with tempfile.TemporaryDirectory() as folder:
        recorder = ["-c", _RECORDER, "bash", f"{folder}/recorded"]
        subprocess.run([bash, *recorder], env=environment, cwd=folder, stdin=subprocess.DEVNULL, check=False)
        fields = pathlib.Path(folder, "recorded").read_text(encoding="utf-8").split("\0")[:-1]
    found = []
    while fields:
        count = int(fields.pop(0))
        found.append(fields[:count])
        del fields[:count]
    return found


def program(words: list[str]) -> list[str]:
    """A command without what stands before its program, such as taskset."""
    while words and words[0] in _BEFORE:
        words = words[_BEFORE[words[0]] :]
    return words


def ours(words: list[str]) -> list[str] | None:
    """The words that a command gives this program; None: it is another's."""
    words = program(words)
    if words[:3] in (["python", "-m", "tf_tickets.main"], ["python3", "-m", "tf_tickets.main"]):
        return words[3:]
    if words[:1] == ["tf-tickets"]:
        return words[1:]
    return words if words and words[0].startswith("--") else None


def problem_of_other(words: list[str]) -> str | None:
    """What is wrong with a command that is another program's."""
    words = program(words)
    if words[0] in ("python", "python3"):
        return None if words[1] in ("-m", "-c") else _problem_of_script(words[1], words[2:])
    if words[0] == "bash":
        return _problem_of_script(words[1], words[2:])
    if words[0] == "pip":
        return _problem_of_pip(words[1:])
    return None if words[0] in TOOLS or "/" in words[0] else f"{words[0]} is no program that pages call"


def _problem_of_script(path, words):
    if not (ROOT / path).is_file():
        return f"{path} is not in the repository"
    source = (ROOT / path).read_text(encoding="utf-8")
    names = [word.partition("=")[0] for word in words if word.startswith("--")]
    odd = [name for name in names if not re.search(rf"[\"']{re.escape(name)}[\"']", source)]
    return f"{path} has no {odd[0]}" if odd else None


def _problem_of_pip(words):
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    for word in words:
        for extra in re.findall(r"(?:^\.|tf-tickets)\[([\w,-]+)\]", word):
            missing = set(extra.split(",")) - set(settings["options.extras_require"])
            if missing:
                return f"{word}: setup.cfg has no extra {min(missing)}"
        if word.endswith((".lock", ".txt")) and not (ROOT / word).is_file():
            return f"{word} is not in the repository"
    return None
