"""Every command and all Python on pages, in recipes, in results and in --help; snippets.py has the rules."""

import glob
import json
import os
import re
import subprocess
import sys

import pytest
import snippet_code
import snippets
from absl import flags
from conftest import QUICK, ROOT

import tf_tickets as tt
from tf_tickets import main
from tf_tickets.registry import COMMANDS
from tf_tickets.settings import cli

PATTERNS = ("*.md", "docs/**/*.md", "docs/**/*.ipynb", "results/*/README.md", "flags/*")
PAGES = [page for pattern in PATTERNS for page in sorted(glob.glob(pattern, root_dir=ROOT, recursive=True))]
PAGES += [f"{name} --help" for name in COMMANDS]


def blocks_of(page):
    """The blocks of a page, of a recipe, or the examples of a command's help."""
    if page.endswith(" --help"):
        name = page.split()[0]
        return [snippets.Block("bash", f"tf-tickets {name} {example}", 1) for example in COMMANDS[name].examples]
    text = (ROOT / page).read_text(encoding="utf-8")
    if page.endswith(".ipynb"):
        return snippets.of_notebook(text)
    return snippets.of_recipe(text) if page.startswith("flags/") else snippets.blocks(text)


def commands_of(page):
    """(place, TF_CONFIG=VALUE and words) of every command of a page, each once but for its seeds and folders."""
    found = {}
    for block in filter(snippets.is_shell, blocks_of(page)):
        for variable, *words in snippets.commands(block.text):
            alike = [word for word in words if not re.match(r"--((order_|subset_)?seed|out|epochs)=", word)]
            found.setdefault((variable, *alike), (f"{page}, line {block.line}: {' '.join(words)}", [variable, *words]))
    return list(found.values())


def asked(page):
    """(place, TF_CONFIG=VALUE and words for this program, files that the page has)."""
    files = {name: block.text for block in blocks_of(page) if (name := snippets.named_file(block))}
    given = [(place, variable, snippets.ours(words)) for place, (variable, *words) in commands_of(page)]
    return [(place, [variable, *words], files) for place, variable, words in given if words is not None]


def answers(jobs):
    """What is wrong with each of (words, files), worked out in one process that begins without TensorFlow."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "snippet_commands.py")], input=json.dumps(jobs),
        capture_output=True, text=True, env=environment | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def key(words, files):
    return (*words, *sorted(files.items()))


@pytest.fixture(scope="module")
def answered():
    """What is wrong with each command of this program on any of the pages, by `key`."""
    jobs = {key(words, files): (words, files) for page in PAGES for _, words, files in asked(page)}
    return dict(zip(jobs, answers(list(jobs.values()))))


@pytest.mark.parametrize("page", PAGES)
def test_its_commands_are_ones_that_the_program_takes(answered, page):
    given = [(place, answered[key(words, files)]) for place, words, files in asked(page)]
    wrong = [f"{place}\n    {problem}" for place, problem in given if problem]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", [page for page in PAGES if not page.endswith("--help")])
def test_its_other_commands_and_its_python_name_what_is_there(page):
    others = [(place, words) for place, (_, *words) in commands_of(page) if snippets.ours(words) is None]
    wrong = [f"{place}: {problem}" for place, words in others if (problem := snippets.problem_of_other(words))]
    for block in filter(snippets.is_python, blocks_of(page)):
        problems = snippet_code.problems_of_python(block.text)
        wrong += [f"{page}, block at {block.line}: {problem}" for problem in problems]
    assert not wrong, "\n".join(wrong)


# Not here: plugins (test_extending), copies of one rewind point (test_analysis), test sets of CIFAR (test_test_sets).
ELSEWHERE = ("--plugins", "stability", "corruptions", "shift")


def on_small_runs(words, runs):
    """The words of a command on finished runs, for two small ones; None of other commands, and of `ELSEWHERE`."""
    command, given = words[0] if words else "", words[1:]
    if command not in ("evaluate", "analyze", "export", "predict", "verify", "report", "ensemble"):
        return None
    if any(name in word for word in given for name in ELSEWHERE):
        return None
    tickets = [f"{run}/ticket" for run in runs]
    paths = {"evaluate": runs, "analyze": runs, "report": [os.path.dirname(os.path.dirname(runs[0]))],
             "predict": [tickets[0], f"{ROOT}/results/first_screen.png"]}.get(command, tickets)  # fmt: skip
    count = sum(2 if "*" in word else 1 for word in given if not word.startswith("--"))
    flags = [re.sub(r"--(dataset|probe)=.*", r"--\1=digits", word) for word in given if word.startswith("--")]
    return [command, *paths[:count], *(word for word in flags if not re.match(r"--(out|data_dir|progress)=", word))]


@pytest.mark.slow
def test_commands_on_finished_runs_do_what_they_say(tmp_path, monkeypatch):
    small = [tt.Config(**QUICK | {"rounds": 2, "seed": seed}, out=str(tmp_path / "runs")) for seed in (0, 1)]
    folders = [tt.imp(config).folder for config in small]
    monkeypatch.chdir(tmp_path)
    lines = [words for page in PAGES for _, (_, *words), _ in asked(page)]
    chosen = {tuple(line) for words in lines if (line := on_small_runs(words, folders)) is not None}
    assert len(chosen) > 15
    for number, words in enumerate(sorted(chosen)):
        request = cli.parse(["tf-tickets", *words, f"--out={number}"], flags.FlagValues())
        assert main.main(request) == 0, words


WRONG = """
Text, and `--nothing=1` in a line.

```
for s in 0 1; do
  python -m tf_tickets.main --flagfile=flags/quickstart.cfg --sede=$s --out=runs
done
TF_NUM_INTRAOP_THREADS=1 tf-tickets train --flagfile=flags/quikstart.cfg && tf-tickets --criterion=magnitud
python -m tf_tickets.main --dataset=digits --per_class=500      # more than there are
python -m tf_tickets.main evaluate runs/*/* --what=density --evaluators=clean
python -m tf_tickets.main sweep --flagfile=few.cfg --sweep='sede=0..2'
python -m tf_tickets.main --flagfile=tiny.cfg
--augment=rend
```

```
# tiny.cfg
--dataset=digits
--wdth=3
```

```text
a listing, which is (no command
```
"""
EXPECTED = {
    "--sede=0": "--sede is no flag; did you mean --seed?", "--sede=1": "--sede is no flag",
    "quikstart": "did you mean quickstart.cfg?", "magnitud": "did you mean magnitude?",
    "=500": "119 images", "density": "--what belongs to analyze", "0..2": "'sede' is no field",
    "tiny": "--wdth is no flag", "rend": "--augment=rend",
}  # fmt: skip


def test_what_is_wrong_in_a_page_is_named(tmp_path):
    (tmp_path / "page.md").write_text(WRONG)
    given = asked(str(tmp_path / "page.md"))
    named = [(place, problem) for (place, _, _), problem in zip(given, answers([job[1:] for job in given]))]
    assert len(named) == len(EXPECTED)
    for (part, message), (place, problem) in zip(EXPECTED.items(), named):
        assert part in place and problem is not None and message in problem, (place, problem)


def test_what_bash_cannot_read_is_named():
    with pytest.raises(ValueError, match="unexpected"):
        snippets.commands("for s in 0 1; do python -m tf_tickets.main\n")


@pytest.mark.parametrize(("line", "problem"), [
    ("python benchmarks/stepps.py", "benchmarks/stepps.py is not in the repository"),
    ("taskset -c 1 python benchmarks/steps.py --widhts=64", "benchmarks/steps.py has no --widhts"),
    ("pip install -e '.[tests]'", "no extra tests"), ("pip install 'tf-tickets[ray,rai]'", "no extra rai"),
    ("pip install -r nothing.lock", "nothing.lock is not"), ("pyhton -m tf_tickets.main", "pyhton is no program"),
    ("git clone <this repository>", None), ("pip install -e '.[test]'", None),
    ("python benchmarks/steps.py --widths=64  # bare", None),
])  # fmt: skip
def test_other_programs_are_known_and_name_files_and_flags_that_are_there(line, problem):
    ((_, *words),) = snippets.commands(line)
    found = snippets.problem_of_other(words)
    assert found is None if problem is None else problem in found


@pytest.mark.parametrize(("code", "problem"), [
    ("import tf_tickets as tt\ntt.imp(tt.Config(epohs=3))", "epohs is no setting"),
    ("tt.Config(dataset='digit')", "--dataset=digit is not one of"), ("tt.impp(config)", "tf_tickets.impp is not"),
    ("tt.imp(config, dta=data)", "unexpected keyword argument 'dta'"), ("tt.predict(run)", "missing a required"),
    ("tt.export(run, ['c'], oot='x')", "oot is no setting"), ("tt.imp(config", "line 1: "),
    ("from tf_tickets import runtme", "tf_tickets.runtme is not there"),
    ("from tf_tickets.pruning import criteria\ncriteria.score(1)", "tf_tickets.pruning.criteria.score is not there"),
    ("run = tt.imp(tt.Config(dataset='digits', epochs=3), data=data)\nrun.any_thing(x=1)", None),
    ("tt.evaluate(run, evaluators=['clean'], test_images=100)", None), ("import numpy as np\nnp.nothing(1)", None),
])  # fmt: skip
def test_python_names_and_calls_what_is_there(code, problem):
    found = snippet_code.problems_of_python(code)
    assert found == [] if problem is None else len(found) == 1 and problem in found[0], found


def test_blocks_in_lists_and_cells_of_notebooks_are_found():
    (block,) = snippets.blocks("1. Do:\n\n   ```bash\n   pip list\n   ```\n\nand `more`\n")
    assert block == snippets.Block("bash", "pip list\n", 3) and snippets.is_shell(block)
    cells = [{"cell_type": "code", "source": ["%%time\n", "x = 1"]},
             {"cell_type": "markdown", "source": ["```\n", "tf-tickets --seed=1\n", "```"]}]  # fmt: skip
    code, text = snippets.of_notebook(json.dumps({"cells": cells}))
    assert (code.text, code.language) == ("x = 1\n", "python") and snippets.is_shell(text)
    printed = "$ pip list\nname  version\n$ git log\n"
    assert [words for _, *words in snippets.commands(printed)] == [["pip", "list"], ["git", "log"]]
