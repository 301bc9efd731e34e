"""What tests of `tune` share: a grid made into a Tuning, and trainings that end at once with given numbers."""

import contextlib
import os

from absl import flags
from sweeps import FLAGS

from tf_tickets import storage
from tf_tickets.errors import DivergedError
from tf_tickets.settings import cli, commands
from tf_tickets.sweeps import points, sweep
from tf_tickets.sweeps.outcomes import Outcome

GRID = "learning_rate=0.1,0.01;weight_decay=0.001,0.01"


def request(folder, *words, grid=GRID, images="--images=60"):
    words = ("tune", *FLAGS, images, f"--out={folder}", f"--sweep={grid}", *words)
    return cli.parse(["tf-tickets", *words], flags.FlagValues())


def resolve(folder, *words, **asked_for):
    asked = request(folder, *words, **asked_for)
    return points.resolve(asked.config, asked.names, commands.check_command)


def write_training(run, **summary):
    """The files of a finished training."""
    last = run.folder.round(0)
    storage.write_csv(last.epochs, [{"train_accuracy": 1.0, "train_loss": 0.5} | summary.pop("epoch", {})],
                      ("train_accuracy", "train_loss"))  # fmt: skip
    storage.write_arrays(last.weights, summary.pop("weights", {}))
    storage.write_json(last.summary, {"round": 0} | summary)
    storage.write_json(os.path.join(run.folder.ticket, "ticket.json"), {"round": 0})
    storage.write_csv(run.folder.table, [], ["round"])


class Trainer:
    """In the place of the engine: notes what is trained, in stages, and how each training ends.

    Args:
      train: function (run) -> what `write_training` is given, or an Outcome's status and message.
    """

    def __init__(self, train):
        self.train, self.stages = train, []

    @contextlib.contextmanager
    def engine(self, config, count):
        yield 1, self.map_runs

    def map_runs(self, todo, progress, stop):
        self.stages.append([(*run.point.texts.values(),) for run in todo])
        for run in todo:
            progress.started(run)
            ended = self.train(run)
            if isinstance(ended, dict):
                write_training(run, **ended)
                outcome = Outcome(run, 0)
            else:
                outcome = Outcome(run, ended, message="the loss is not finite" if ended == 5 else "broken")
            progress.ended(outcome)
            yield outcome

    def trained(self):
        return [values for stage in self.stages for values in stage]


DIVERGED = DivergedError.exit_status


def use(monkeypatch, train):
    trainer = Trainer(train)
    monkeypatch.setattr(sweep, "_engine", trainer.engine)
    return trainer
