"""docs/extending.md as it stands: its files, its commands in order, and what it says of them."""

import contextlib
import glob
import io
import os
import pathlib
import re
import shlex
import shutil
import sys

import numpy as np
import pytest
import touched
from absl import flags
from conftest import ROOT

import tf_tickets as tt
from tf_tickets import main, plugins, registry, runs, storage
from tf_tickets.errors import UsageError
from tf_tickets.models.description import Kernel
from tf_tickets.settings import cli, policies
from tf_tickets.sweeps import slurm, sweep
from tf_tickets.workers import joined

PAGE = (ROOT / "docs" / "extending.md").read_text()
TABLES = {name: table for name, table in vars(registry).items() if isinstance(table, registry.Registry)}
COMMAND = "python -m tf_tickets.main "


def blocks():
    """The page's fenced blocks."""
    return re.findall(r"^```\w*\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def modules():
    """Name -> source of the modules on the page."""
    return {match[1]: text for text in blocks() if (match := re.match(r"# (\w+)\.py\n", text))}


def commands():
    """The command lines on the page, without the program."""
    return [line.removeprefix(COMMAND) for text in blocks() for line in text.splitlines() if line.startswith(COMMAND)]


@pytest.fixture(scope="module")
def own():
    """Table -> the program's own parts."""
    return {name: dict(table) for name, table in TABLES.items()}


@pytest.fixture
def fresh(own, monkeypatch):
    """A function after which nothing of the user's is imported, as in another process; called when a test ends, too."""

    def forget():
        plugins._LOADED.clear()
        policies.parse.cache_clear()
        for name, table in TABLES.items():
            table._parts = dict(own[name])
        for name in modules():
            sys.modules.pop(name, None)

    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    forget()
    yield forget
    forget()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with the page's files and pictures of pets; treat as read-only, but for `tried`."""
    folder = tmp_path_factory.mktemp("extending")
    for text in blocks():
        if match := re.match(r"# (\S+\.(?:py|cfg))\n", text):
            (folder / match[1]).write_text(text)
    rng = np.random.default_rng(0)
    pictures = {f"{part}_images": rng.integers(0, 256, (24, 8, 8, 3), np.uint8) for part in ("train", "test")}
    np.savez(folder / "pets.npz", **pictures, **{f"{part}_labels": np.arange(24) % 2 for part in ("train", "test")})
    return folder


@pytest.fixture
def here(folder, fresh, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


printed = {}


def tried(fresh):
    """What each of the page's commands prints, all run in order, each as in a process of its own; once."""
    for line in commands() if not printed else ():
        fresh()
        words = [name for word in shlex.split(line) for name in (sorted(glob.glob(word)) if "*" in word else [word])]
        with contextlib.redirect_stdout(io.StringIO()) as output:
            assert main.main(parsed(*words)) == 0, line
        printed[line] = output.getvalue()
    fresh()
    return printed


def parsed(*words):
    return cli.parse(["tf-tickets", *words], flags.FlagValues())


def run_in(name):
    """The one run below `runs/<name>`."""
    (path,) = glob.glob(f"runs/{name}/*/seed_0")
    return runs.RunFolder(path)


def report_of(name):
    return (storage.read_csv(f"{name}/report.csv"), pathlib.Path(name, "report.html").read_text(encoding="utf-8"))


def kernels(run, index):
    """(weights by layer at the end of a round, the masks of the next), each as one flat array."""
    weights, masks = storage.read_arrays(run.round(index).weights), storage.read_arrays(run.round(index + 1).mask)
    return {name: weights[f"{name}/kernel"] for name in masks}, masks


def flat(arrays):
    return np.concatenate([array.ravel() for array in arrays.values()])


def test_every_module_of_the_page_is_used_by_a_command_and_is_in_the_help_without_tensorflow(here, command):
    named = {name for text in re.findall(r"--plugins=(\S+)", "\n".join(commands())) for name in text.split(",")}
    assert named == set(modules()) and len(named) == 9
    done = command(here, "--help", f"--plugins={','.join(sorted(named))}")
    assert done.returncode == 0, done.stderr
    for part in ("relative", "taylor", "backwards", "loud", "plain3", "pets", "darken(share)", "top3", "signs"):
        assert part in done.stdout, part


def test_a_criterion_ranks_the_weights_of_a_search(here, fresh):
    tried(fresh)
    weights, masks = kernels(run_in("relative"), 0)
    scores = flat({name: np.abs(array) / np.abs(array).max() for name, array in weights.items()})
    kept = flat(masks)
    assert scores[kept].min() >= scores[~kept].max() and not kept.all()
    assert (
        flat({name: np.abs(array) for name, array in weights.items()})[kept].min() < np.abs(flat(weights))[~kept].max()
    )
    assert "--criterion=relative" in report_of("report_top3")[1]
    assert tt.Config.from_flagfile(run_in("search").config).pruning.criterion == "magnitude"


def test_a_criterion_is_given_gradients(here, fresh):
    tried(fresh)
    (_, magnitude), (_, taylor) = kernels(run_in("search"), 0), kernels(run_in("taylor"), 0)
    assert flat(taylor).sum() == flat(magnitude).sum() and (flat(taylor) != flat(magnitude)).any()


def test_a_control_is_a_rival_of_the_search_under_its_title(here, fresh):
    tried(fresh)
    weights, masks = kernels(run_in("backwards"), 0)
    assert np.abs(flat(weights))[flat(masks)].max() <= np.abs(flat(weights))[~flat(masks)].min()
    rows, page = report_of("report")
    assert {row["control"] for row in rows} == {"none", "backwards"} and "largest removed" in page


def test_a_control_grows_weights_during_one_training(here, fresh):
    tried(fresh)
    last = run_in("loud").round(0)
    mask, rows = storage.read_arrays(last.mask), storage.read_csv(last.epochs)
    assert float(rows[-1]["density"]) == pytest.approx(flat(mask).mean()) and float(rows[-1]["mask_changed"]) > 0


def test_a_network_trains_and_its_ticket_predicts_and_is_analysed(here, fresh):
    tried(fresh)
    plugins.load("plain")
    ticket = tt.Ticket.load(run_in("plain").ticket)
    assert ticket.network["name"] == "plain3" and list(ticket.masks) == ["conv0", "conv1", "conv2"]
    images = np.zeros((2, 8, 8, 1), np.uint8)
    assert ticket.predict(images).shape == (2, 10)
    described = registry.NETWORKS["plain3"].describe(
        model="plain3", stem="small", image_shape=(8, 8, 1), width=4, classes=10, head="linear", kappa=16.0
    )
    assert described.trainable_parameters() == sum(map(np.size, ticket.model.get_weights())) - 2 * (4 + 8 + 16)
    assert main.main(parsed("analyze", "--plugins=plain", "--what=similarity", *glob.glob("runs/plain/*/seed_0"))) == 0


def test_a_network_whose_layers_are_not_as_described_is_refused(here, fresh):
    plugins.load("plain")
    entry = registry.NETWORKS["plain3"]
    build = entry.describe.build
    for broken, message in (
        (
            lambda self, images, builder: builder.pooled(images),
            r"layer conv0 the kernel is \(3, 3, 1, 16\) in body\(\) and none in",
        ),
        (
            lambda self, images, builder: build(
                self, builder.convolve(images, Kernel("extra", (1, 1, 1, 1), False)), builder
            ),
            r"layer extra the kernel is none in",
        ),
    ):
        entry.describe.build = broken
        with pytest.raises(UsageError, match=f"--model=plain3: .*{message}"):
            tt.models.build("plain3", classes=10, image_shape=(8, 8, 1))


def test_a_data_set_is_planned_trained_on_and_named_after_its_content(here, fresh):
    output = tried(fresh)
    plan = next(text for line, text in output.items() if line.endswith("--out=runs/pets --dry_run"))
    assert "pets: 20 training images" in plan
    plugins.load("pets")
    ticket = tt.Ticket.load(run_in("pets").ticket)
    assert ticket.labels == ("cat", "dog") and ticket.pictures


def test_an_augmentation_is_trained_with_and_drawn(here, fresh):
    tried(fresh)
    plugins.load("darken")
    images, keys = np.full((8, 4, 4, 1), 200, np.uint8), tt.augment.keys(0, 0, 0, np.arange(8))
    levels = tt.augment.apply("darken(0.5)", images, keys).numpy()[:, 0, 0, 0]
    assert (levels >= 100).all() and (levels <= 200).all() and len(set(levels.tolist())) > 1
    assert tt.Config.from_flagfile(run_in("darken").config).augment == "base|darken(0.5)"
    assert os.listdir("sheet")


def test_an_evaluator_adds_rows_and_the_report_has_them(here, fresh):
    output = tried(fresh)
    assert "top3 accuracy" in next(text for line, text in output.items() if line.startswith("evaluate"))
    rows = [row for row in storage.read_csv(run_in("relative").round(1).evaluations) if row["evaluator"] == "top3"]
    (row,) = rows
    accuracy = run_in("relative").round(1).read_summary()["test_accuracy"]
    assert (row["setting"], row["metric"], row["n"]) == ("test", "top3_accuracy", "600")
    assert accuracy <= float(row["value"]) <= 1.0
    assert "top3_accuracy" in report_of("report_top3")[1]
    plugins.load("relative")
    assert "top3_accuracy" in page_without_the_module(), "rows of a part that is not registered are shown as a table"


def page_without_the_module():
    assert main.main(parsed("report", "--plugins=relative", "runs/relative", "--out=report_without")) == 0
    return report_of("report_without")[1]


def test_an_analysis_writes_its_table_and_figure_and_the_report_has_them(here, fresh):
    tried(fresh)
    run = run_in("relative")
    plugins.load("relative")
    ticket = tt.Ticket.load(run.round(1).folder)
    rows = {row["metric"]: row for row in storage.read_csv(run.path("analysis/signs.csv")) if row["round"] == "1"}
    assert rows.keys() == {"changed", *(f"changed:{name}" for name in ticket.masks)}
    kept = {name: ticket.trained[f"{name}/kernel"] * ticket.rewound[f"{name}/kernel"] for name in ticket.masks}
    share = np.mean(flat(kept)[flat(ticket.masks)] < 0)
    assert float(rows["changed"]["value"]) == pytest.approx(share, abs=1e-3)
    assert os.path.exists(run.path("analysis/signs.svg"))
    assert "signs" in report_of("report_signs")[1]


@pytest.mark.parametrize("name", ["plain", "pets"])
def test_a_ticket_whose_module_is_forgotten_says_which_flag_to_add(here, fresh, name, tmp_path):
    """Each command in turn, on the run, its ticket, and the ticket alone; nothing is written."""
    tried(fresh)
    run, picture = run_in(name), tmp_path / "x.png"
    picture.write_bytes(b"no picture")
    alone = shutil.copytree(run.ticket, tmp_path / "alone" / "ticket")
    for path in (run.folder, run.ticket, str(alone), run.round(1).folder):
        tries = [
            ("predict", path, str(picture)), ("evaluate", path), ("export", path, f"--out={tmp_path / 'exported'}"),
            ("analyze", path, "--what=density"), ("train", f"--ticket={path}", f"--out={tmp_path / 'runs'}"),
        ]  # fmt: skip
        for words in tries + [("verify", path)] * (path in (run.ticket, str(alone))):
            if words[0] == "train" and path == run.folder:
                continue  # which is no ticket
            with pytest.raises(
                UsageError, match=rf"names the plugin {name}, .* add --plugins={name} to the command"
            ) as e:
                main.main(parsed(*words))
            assert "restore" not in str(e.value), words
    assert sorted(os.listdir(tmp_path)) == ["alone", "x.png"]


def test_runs_of_a_sweep_are_given_the_flag_by_every_engine(here, fresh):
    request = parsed(
        "sweep", "--flagfile=tiny.cfg", "--plugins=relative", "--sweep=seed=5,6;criterion=relative,magnitude",
        "--engine=slurm", "--out=runs/swept",
    )  # fmt: skip
    planned = sweep.resolve(request.config, request.names, lambda command, config: None)
    assert len(planned) == 4
    script = slurm.script(planned, request.config)
    assert script.count("--plugins=relative") == 4 and f"cd {shlex.quote(os.getcwd())} " in script
    for run in planned:
        fresh()
        config = parsed(*run.words).config  # as the run's own process reads it
        assert config.pruning.criterion == run.config.pruning.criterion and config.digest() == run.config.digest()


def test_workers_compare_the_source_of_their_modules(here, fresh):
    told = []

    class Team:
        size, cluster = 1, None

        def check_same(self, value, text, error):
            told.append((value, text))

    plugins.load("relative")
    config = tt.Config.from_flagfile("tiny.cfg", plugins="relative", criterion="relative")
    joined.devices_of(config.run, Team())
    (value,) = [value for value, text in told if text.startswith("has another plugin relative than the chief")]
    assert re.fullmatch("without version, source [0-9a-f]{12}", value)


def test_the_table_of_files_is_what_the_code_says():
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert touched.table() in text, (
        f"docs/architecture.md lacks the table that tests/touched.py prints:\n{touched.table()}"
    )
    for kind, part in touched.PARTS.items():
        most = 3 if kind in ("network", "data set") else 1
        assert len(touched.files(part)[0]) <= most, (kind, part)
    assert {table.kind for table in TABLES.values()} == set(touched.PARTS)
    assert touched.files("stability")[0][1:] == ["report/rewinds.py"]  # as the page says


def test_what_names_a_part_is_found_and_what_is_prose_is_not(tmp_path):
    root = tmp_path / "package"
    texts = {
        "__init__.py": "from package import home\n", "home.py": '@T.register("part")\ndef made():\n    pass\n',
        "doc.py": '"""part"""\n# "part"\nx = "a part of it"\ny = "apart(1)"\n', "equal.py": 'x == "part"\n',
        "flag.py": 'f"--kind=part belongs"\n', "chain.py": 'x = "base|part(4)"\n', "uses.py": "import package.home\n",
        "taken.py": "def late():\n    from package.home import made\n", "settings/a.py": 'x = "part"\n',
    }  # fmt: skip
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    named, in_settings = touched.files("part", root)
    assert named == ["home.py", "__init__.py", "chain.py", "equal.py", "flag.py", "taken.py"]
    assert in_settings == ["settings/a.py"]
