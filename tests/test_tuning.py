"""`tune`: its refusals, what it trains and in which order, how it continues, what it writes; one tuning is real."""

import importlib.util
import os
import re

import pytest
from absl import flags
from conftest import ROOT
from PIL import Image
from sweeps import FLAGS, run_sweep
from tunings import DIVERGED, GRID, request, resolve, use, write_training

from tf_tickets import main, storage
from tf_tickets.errors import DivergedError, StateError, StopRequested, UsageError
from tf_tickets.settings import cli
from tf_tickets.sweeps import points


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tune", "--rule=weight_norm"], ["tune needs --sweep="]),
        (["tune", "--sweep=learning_rate=1,2"], ["tune needs --rule=folds:K"]),
        (["tune", "--sweep=learning_rate=1,2", "--rule=folds:1"], ["--rule=folds:1", "folds:K with K >= 2"]),
        (["tune", "--sweep=learning_rate=1,2", "--rule=twin"], ["--rule=twin", "weight_norm"]),
        (["tune", "--sweep=seed=0..4", "--rule=folds:3"], ["seed is no setting to tune", "luckiest"]),
        (["tune", "--sweep=command=imp,train", "--rule=folds:3"], ["command is no setting", "one round"]),
        (["tune", "--sweep=learning_rate+fraction=0.1+0.2,0.2+0.3", "--rule=folds:3"], ["fraction is no setting"]),
        (["tune", "--sweep=validation=0.2,0.3", "--rule=folds:3"], ["validation is no setting", "the rule decides"]),
        (["tune", "--sweep=rate=0.1,0.2", "--rule=folds:3"], ["rate is no setting", "one dense round"]),
        (["tune", "--sweep=width=4,8", "--rule=weight_norm"], ["differ in width", "--rule=folds:5"]),
        (["tune", "--sweep=learning_rate=0.1,0.10", "--rule=folds:3"], ["stands twice"]),
        (["tune", "--sweep=learning_rate=1,2;choose=last", "--rule=folds:3"], ["choose is no setting"]),
        (["tune", "--sweep=learning_rate=1,2", "--rule=folds:3", "--cpus_per_run=2"], ["--engine=ray or slurm"]),
        (["sweep", "--sweep=learning_rate=1,2", "--rule=folds:3"], ["--rule belongs to tune, not sweep"]),
        (["train", "--rule=folds:3"], ["--rule belongs to tune, not train"]),
    ],
)
def test_the_program_refuses_without_tensorflow(words, expected, tmp_path):
    done = run_sweep(tmp_path, [*words, "--dataset=digits"], without_tensorflow=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tf-tickets: ") and done.stderr.count("\n") == 1
    assert all(fragment in done.stderr for fragment in expected), done.stderr
    assert os.listdir(tmp_path) == ["poison"]


def test_the_dry_run_lists_every_training_and_touches_nothing(tmp_path):
    words = ["tune", *FLAGS, "--images=60", f"--sweep={GRID}", "--rule=folds:3", "--dry_run"]
    done = run_sweep(tmp_path, words, without_tensorflow=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    # 40 of 60 images in batches of 20, 2 epochs.
    assert lines[1].split() == ["0.1", "0.001", "0/3", "40", "20", "4", "new"] and len(lines) == 15
    assert lines[-2] == "in all 4 points, 12 trainings: 0 finished, at most 12 to do of 48 steps"
    assert os.listdir(tmp_path) == ["poison"]


def test_what_is_held_out_afterwards_is_not_of_the_trainings(tmp_path):
    words = ("--validation=0.2", "--refit", "--choose=validation")
    found = resolve(tmp_path, "--rule=folds:3", *words)
    assert [run.config.data.validation for run in found.trainings[1]] == ["fold:0/3", "fold:1/3", "fold:2/3"]
    assert not any(run.config.choice.refit for run in found.runs) and {run.point.command for run in found.runs} == {
        "train"
    }
    held_nothing = resolve(tmp_path, "--rule=weight_norm", *words)
    assert [run.plan.validation_images for run in held_nothing.runs] == [0] * 4
    text = found.flagfile(2)
    assert "--validation=0.2\n" in text and "--refit\n" in text and "--choose=validation\n" in text
    assert found.folder != held_nothing.folder


def test_a_base_that_cannot_run_with_a_point_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(UsageError, match=r"at learning_rate=0\.1: --refit needs --validation"):
        resolve(tmp_path, "--rule=folds:3", "--refit", grid="learning_rate=0.1,0.2")


def scores_of(table):
    """A function for `Trainer`: the score of each (learning rate, weight decay) by fold."""

    def train(run):
        rate, decay, fold = run.point.texts.values()
        value = table[rate, decay][int(fold[0])]
        return DIVERGED if value is None else {"validation_accuracy": value, "validation_balanced_accuracy": 0.0}

    return train


TABLE = {
    ("0.1", "0.001"): [0.95, 0.97, 0.96], ("0.1", "0.01"): [0.95, 0.96, 0.955], ("0.01", "0.001"): [0.2, 0.9, 0.9],
    ("0.01", "0.01"): [0.9, None, 0.9],
}  # fmt: skip


def printed(tmp_path, capsys, *words, grid=GRID):
    status = main.main(request(tmp_path, *words, grid=grid))
    return status, capsys.readouterr().out


def test_folds_are_trained_in_stages_and_a_finished_tuning_answers_at_once(tmp_path, monkeypatch, capsys):
    trainer = use(monkeypatch, scores_of(TABLE))
    status, out = printed(tmp_path, capsys, "--rule=folds:3")
    assert status == 0 and [len(stage) for stage in trainer.stages] == [4, 2, 2, 1]
    assert trainer.stages[1] == [("0.1", "0.001", "1/3"), ("0.1", "0.001", "2/3")]
    # The point of 20 % is left out: 100 % in both other folds would not bring it near; the last has diverged.
    assert trainer.stages[2:] == [[("0.1", "0.01", "1/3"), ("0.01", "0.01", "1/3")], [("0.1", "0.01", "2/3")]]
    found = resolve(tmp_path, "--rule=folds:3")
    assert sorted(os.listdir(found.folder)) == ["diverged.csv", "tune.csv", "tune.png", "tuned.cfg"]
    rows = storage.read_csv(os.path.join(found.folder, "tune.csv"))
    assert [row["state"] for row in rows] == ["finished", "finished", "stopped early", "diverged"]
    assert [row["chosen"] for row in rows] == ["0", "1", "0", "0"]
    assert [row["within_one_standard_error"] for row in rows] == ["1", "1", "0", "0"]
    assert float(rows[0]["mean"]) == pytest.approx(0.96) and rows[2]["mean"] == "" and rows[2]["fold_1"] == ""
    assert (
        "chosen: learning_rate=0.1 weight_decay=0.01, the simplest point (95.50 %) within one standard error "
        "(0.58 points) of the highest mean validation accuracy over 3 folds, 96.00 % of learning_rate=0.1 "
        "weight_decay=0.001"
    ) in out
    assert "left out: 2 of 12 trainings, which could not change the choice" in out
    with Image.open(os.path.join(found.folder, "tune.png")) as picture:
        assert picture.width > 500
    trained = len(trainer.trained())
    again = printed(tmp_path, capsys, "--rule=folds:3")
    assert again == (0, out) and len(trainer.trained()) == trained


def test_the_tuned_flagfile_is_the_base_with_the_chosen_values(tmp_path, monkeypatch, capsys):
    use(monkeypatch, scores_of(TABLE))
    _, out = printed(tmp_path, capsys, "--rule=folds:3", "--validation=0.2")
    command = re.search(r"^next: python -m tf_tickets.main (imp) (--flagfile=\S+)$", out, re.M)
    assert command
    tuned = cli.parse(["tf-tickets", *command.groups()], flags.FlagValues()).config
    base = cli.parse(["tf-tickets", *FLAGS, "--images=60", "--validation=0.2", f"--out={tmp_path}"], flags.FlagValues())
    assert tuned.values() == base.config.values() | {"learning_rate": 0.1, "weight_decay": 0.01}


def test_a_failed_training_is_named_and_the_next_call_trains_what_is_missing(tmp_path, monkeypatch, capsys):
    broken = [("0.1", "0.01", "0/3")]

    def train(run):
        return 3 if (*run.point.texts.values(),) in broken else scores_of(TABLE)(run)

    trainer = use(monkeypatch, train)
    status, out = printed(tmp_path, capsys, "--rule=folds:3")
    assert (status, out, len(trainer.stages)) == (3, "", 1)
    broken.clear()
    status, out = printed(tmp_path, capsys, "--rule=folds:3")
    assert status == 0 and "chosen: learning_rate=0.1 weight_decay=0.01," in out
    trained = trainer.trained()
    assert trained[4] == ("0.1", "0.01", "0/3") and len(set(trained)) == len(trained) - 1


def test_a_stopped_tuning_says_so_and_continues(tmp_path, monkeypatch, capsys):
    trainer = use(monkeypatch, lambda run: None)
    monkeypatch.setattr("tf_tickets.stopping.requested", lambda: True)
    with pytest.raises(StopRequested, match="0 of 12 runs are finished; run again to continue"):
        printed(tmp_path, capsys, "--rule=folds:3")
    assert len(trainer.stages) == 1


def test_when_every_point_diverges_that_is_said_and_not_tried_again(tmp_path, monkeypatch, capsys):
    trainer = use(monkeypatch, lambda run: DIVERGED)
    for _ in range(2):
        with pytest.raises(DivergedError, match=r"every point diverged, .*not finite.*smaller learning rates"):
            printed(tmp_path, capsys, "--rule=weight_norm")
    assert len(trainer.trained()) == 4


def by_norm(rows):
    """A function for `Trainer`: training accuracy, loss and one weight of each learning rate."""

    def train(run):
        accuracy, loss, weight = rows[run.point.texts["learning_rate"]]
        weights = {"conv/kernel": [weight, 0.0], "bn/gamma": [0.0, 0.0, 1.0], "bn/moving_variance": [1e6]}
        return {"epoch": {"train_accuracy": accuracy, "train_loss": loss}, "weights": weights, "test_accuracy": 0.0}

    return train


@pytest.mark.parametrize(
    ("rows", "chosen", "reason"),
    [
        ({"0.1": (1.0, 0.1, 7.0), "0.01": (0.99, 0.4, 5.0), "0.001": (0.9, 0.9, 1.0)}, "0.01",
         "whose weights have the smallest norm, 5.10, of the 2 points that label at least 99 % of their training"),
        ({"0.1": (0.9, 0.3, 7.0), "0.01": (0.8, 0.4, 5.0), "0.001": (0.7, 0.9, 1.0)}, "0.1",
         "whose training loss, 0.3000, is the smallest: no point labels 99 %"),
    ],
)  # fmt: skip
def test_by_weight_norm(rows, chosen, reason, tmp_path, monkeypatch, capsys):
    use(monkeypatch, by_norm(rows))
    grid = f"learning_rate={','.join(rows)}"
    status, out = printed(tmp_path, capsys, "--rule=weight_norm", grid=grid)
    assert status == 0 and f"chosen: learning_rate={chosen}, {reason}" in out
    folder = resolve(tmp_path, "--rule=weight_norm", grid=grid).folder
    written = storage.read_csv(os.path.join(folder, "tune.csv"))
    assert [float(row["weight_norm"]) for row in written] == pytest.approx(
        [(w**2 + 1) ** 0.5 for _, _, w in rows.values()]
    )
    assert os.path.exists(os.path.join(folder, "tune.png"))


def test_a_grid_of_three_flags_is_not_drawn(tmp_path, monkeypatch, capsys):
    grid = "learning_rate=0.1,0.01;weight_decay=0.001,0.01;batch_size=10,20"
    use(monkeypatch, lambda run: {"validation_accuracy": 0.5})
    status, out = printed(tmp_path, capsys, "--rule=folds:2", grid=grid)
    folder = resolve(tmp_path, "--rule=folds:2", grid=grid).folder
    assert status == 0 and "no picture: a grid of 3 flags" in out and not os.path.exists(f"{folder}/tune.png")
    assert "chosen: learning_rate=0.01 weight_decay=0.01 batch_size=10," in out


def test_uneven_classes_are_scored_by_balanced_accuracy(tmp_path):
    measured = {"validation_accuracy": 0.9, "validation_balanced_accuracy": 0.4}
    for images, score in (("--per_class=6", 0.9), ("--imbalance=0.1", 0.4)):
        found = resolve(tmp_path, "--rule=folds:2", images=images)
        write_training(found.trainings[3][1], **measured)
        assert points.fold_scores(found, 3) == {1: score}


def test_a_fold_without_its_score_is_named(tmp_path):
    found = resolve(tmp_path, "--rule=folds:2", grid="learning_rate=0.1,0.2")
    write_training(found.trainings[0][1])
    with pytest.raises(StateError, match="has no validation_accuracy: delete it to train it again"):
        points.fold_scores(found, 0)


def test_slurm_gets_the_trainings_that_are_left(tmp_path, capsys):
    found = resolve(tmp_path, "--rule=folds:2", grid="learning_rate=0.1,0.2")
    write_training(found.trainings[0][1], validation_accuracy=0.5)
    status, out = printed(tmp_path, capsys, "--rule=folds:2", "--engine=slurm", grid="learning_rate=0.1,0.2")
    assert status == 0 and "#SBATCH --array=0,2-3" in out and "--validation=fold:1/2" in out


def regret():
    spec = importlib.util.spec_from_file_location("regret", ROOT / "benchmarks" / "regret.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_regret_is_the_best_on_test_less_the_chosen(tmp_path, monkeypatch, capsys):
    grid = "learning_rate=0.1,0.01,0.001"
    tested = {"0.1": 0.5, "0.01": 0.7, "0.001": 0.65}
    norms, validated = {"0.1": 3.0, "0.01": 2.0, "0.001": 1.0}, {"0.1": 0.8, "0.01": 0.6, "0.001": 0.5}

    def train(run):
        rate = run.point.texts["learning_rate"]
        weights = {"conv/kernel": [norms[rate]]}
        return {"weights": weights, "test_accuracy": tested[rate], "validation_accuracy": validated[rate]}

    use(monkeypatch, train)
    for rule in ("weight_norm", "folds:2"):
        assert printed(tmp_path, capsys, f"--rule={rule}", grid=grid)[0] == 0
    rows = regret().rows_of("toy", str(tmp_path))
    assert [(row["chosen_by_folds"], row["chosen_by_weight_norm"]) for row in rows] == [
        ("1", "0"),
        ("0", "0"),
        ("0", "1"),
    ]
    assert regret().regret(rows, "folds") == pytest.approx(20.0)
    assert regret().regret(rows, "weight_norm") == pytest.approx(5.0)
    assert "| learning_rate=0.1 | 80.00 (0.00) | 100.00 | 3.0 | 50.00 | folds |" in regret().text(rows)


def test_the_published_regrets_are_those_of_the_committed_rows():
    folder = ROOT / "results" / "tune"
    rows = storage.read_csv(str(folder / "rows.csv"))
    assert regret().text(rows) in (folder / "README.md").read_text()


def test_a_real_tuning_keeps_a_diverged_point_and_chooses_the_other(tmp_path):
    grid = "--sweep=learning_rate=1e30,0.01"
    words = ["tune", *FLAGS, "--images=60", grid, "--rule=folds:2", "--workers=1", "--progress=log"]
    done = run_sweep(tmp_path, words)
    assert done.returncode == 0, done.stderr
    assert "chosen: learning_rate=0.01," in done.stdout and "diverged" in done.stdout
    again = run_sweep(tmp_path, words, without_tensorflow=True)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert " started " not in again.stderr
