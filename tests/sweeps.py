"""The settings that tests of sweeps start from, and a grid made into runs."""

from absl import flags
from conftest import QUICK

from tf_tickets import cli, commands
from tf_tickets.experiments import sweep

BASE = {name: value for name, value in QUICK.items() if name not in ("images", "validation", "eval_every")}
BASE |= {"epochs": 2, "rounds": 2}
FLAGS = [f"--{name}={value}" for name, value in BASE.items() if name != "progress"] + ["--notensorboard"]


def parse(*words):
    return cli.parse(["tf-tickets", "sweep", *words], flags.FlagValues())


def resolve(text, *words):
    request = parse(*FLAGS, *words, f"--sweep={text}")
    return sweep.resolve(request.config, request.names, commands.check_command)
