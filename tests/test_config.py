"""A Config survives its own flagfile, and its digest stays what it was."""

import dataclasses
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tf_tickets import main
from tf_tickets.errors import UsageError
from tf_tickets.settings import checks, config
from tf_tickets.settings.config import Config

CHECKED = {
    "subset_seed": ["0", "7", "original"], "validation": ["0.2", "1e-3", "fold:0/2", "fold:4/5"],
    "milestones": ["1", "100,150"], "rewind": ["init", "epoch:0", "step:5", "learning_rate", "finetune:3"],
    "choose": ["last", "validation", "3"], "strategy": ["auto", "one_device", "mirrored", "cpu:2"],
    "profile_steps": ["0:1", "10:20"], "evaluators": ["clean", "fgsm,pgd"],
}  # fmt: skip

# Run folders are named by these: a change would part new runs from the recorded ones.
DIGESTS = [
    ({}, "imp", "ff3c0586"),
    ({}, "train", "9aa6bf7a"),
    ({"fraction": 0.01}, "imp", "fbfbc91f"),
    ({"fraction": 0.01, "width": 16, "epochs": 60}, "imp", "e10c537e"),
    ({"per_class": 5, "validation": "fold:0/5", "rewind": "step:7"}, "imp", "c2619665"),
    ({"jit": True, "deterministic": False, "learning_rate": 1e-3}, "train", "bf952e42"),
]


def _values(option):
    if option.name in CHECKED:
        return st.sampled_from(CHECKED[option.name])
    if option.type is bool:
        return st.booleans()
    if option.type is str:
        choices = option.choices
        return st.sampled_from(choices) if choices else st.text(min_size=1, max_size=9)
    low, high, above = (option.metadata[name] for name in ("low", "high", "above"))
    if option.type is int:
        return st.integers(low, high if high is not None else 10**6)
    low = low if above is None else above
    return st.floats(low, high if high is not None else 1e3, exclude_min=above is not None)


@st.composite
def configs(draw):
    """Any valid Config: a few settings drawn, the others at their defaults."""
    names = draw(st.lists(st.sampled_from(list(config.options())), unique=True, max_size=5))
    try:
        return Config.from_values(**{name: draw(_values(config.options()[name])) for name in names})
    except UsageError:
        reject()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(made=configs())
def test_a_config_survives_its_flagfile(made, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round_trip.cfg"
    path.write_text(made.flagfile(), encoding="utf-8", newline="")
    unwritten = {"dry_run": made.run.dry_run, **dataclasses.asdict(made.command)}
    read = Config.from_flagfile(path, **unwritten)
    assert read == made
    assert read.digest() == made.digest() and read.flagfile() == made.flagfile()
    assert made.replace() == made


@pytest.mark.parametrize(("changes", "command", "expected"), DIGESTS)
def test_digests_are_what_they_were(changes, command, expected):
    assert Config.from_values(**changes).digest(command) == expected


@pytest.mark.parametrize("changes", [
    {"rounds": 3}, {"out": "elsewhere"}, {"data_dir": "elsewhere"}, {"seed": 3}, {"order_seed": 4},
    {"data_file": "x.npz"}, {"labels_file": "x.csv"},
    {"subset_seed": 5}, {"tensorboard": False}, {"progress": "none"}, {"strategy": "cpu:2"}, {"choose": "last"},
    {"profile_steps": "1:2"}, {"dry_run": True}, {"archive": "x"}, {"eval_every": 1}, {"evaluators": "fgsm"},
    {"which": "all"}, {"restarts": 3}, {"test_images": 9}, {"what": "probe", "probe": "mnist", "probe_images": 100},
])  # fmt: skip
def test_settings_beside_the_numbers_leave_the_digest(changes):
    for others in ({}, {"width": 16}):
        assert Config.from_values(**others, **changes).digest() == Config.from_values(**others).digest()


def test_every_other_setting_changes_the_digest():
    changed = {
        "dataset": "digits", "fraction": 0.1, "per_class": 5, "images": 500, "subset_file": "x", "validation": "0.2",
        "imbalance": 0.1, "augment": "none", "batch_size": 50, "model": "resnet34", "width": 32, "stem": "full",
        "epochs": 100, "optimizer": "adam", "learning_rate": 0.2, "momentum": 0.8, "weight_decay": 0.0,
        "schedule": "constant", "warmup": 5, "loss": "label_smoothing", "head": "cosine", "rate": 0.3, "rewind": "init",
        "scope": "layer", "min_per_layer": 1, "control": "random", "ticket": "x", "deterministic": False,
        "precision": "mixed_bfloat16", "jit": True, "pretrained": "x", "adversarial": True,
        "attack_eps": 0.1, "attack_step": 0.1, "attack_steps": 3, "temperature": 0.1,
        "search_epochs": 9, "mask_distance": 0.1, "batch_norm": "synchronised",
        "image_size": 64, "distillation": 0.5,
        "backbone_learning_rate": 0.01,
    }  # fmt: skip
    together = {
        "mask_patience": {"mask_distance": 0.1, "mask_patience": 5},
        "full_rounds": {"search_epochs": 9, "full_rounds": "last"},
        "accounting": {"eval_every": 1, "accounting": "release"},
        "imbalance_profile": {"imbalance": 0.1, "imbalance_profile": "step"},
        "distillation_temperature": {"distillation": 0.5, "distillation_temperature": 2.0},
        "kappa": {"head": "tvmf", "kappa": 8.0},
        "prunable": {"model": "vit_small", "prunable": "feed_forward"},
        "milestones": {"schedule": "steps", "milestones": "9"},
        "soup_members": {"ticket": "x", "soup_members": 3},
        "update_every": {"control": "rigl", "update_every": 50},
        "update_fraction": {"control": "rigl", "update_fraction": 0.5},
        "head_epochs": {"pretrained": "y", "head_epochs": 3},
        "finetune_learning_rate": {"rewind": "finetune", "finetune_learning_rate": 0.1},
    }
    counted = {name for name, option in config.options().items() if option.metadata["digest"]}
    assert counted == {*changed, *together, "criterion", "plugins"}  # test_plugins changes both
    digests = [Config.from_values(**{name: value}).digest() for name, value in changed.items()]
    digests += [Config.from_values(**values).digest() for values in together.values()]
    digests += [Config().digest(), Config().digest("train")]
    assert len(set(digests)) == len(digests)


def test_eval_every_counts_where_a_validation_part_chooses():
    plain = Config.from_values(validation="0.2")
    assert plain.replace(eval_every=1).digest() != plain.digest()


def test_content_stands_in_for_a_path():
    here, there = (Config.from_values(subset_file=path) for path in ("a", "b"))
    digests = [made.digest(content={"subset_file": "1234"}.items()) for made in (here, there)]
    assert digests[0] == digests[1] != here.digest()
    assert here.digest(content=[("subset_file", "5678")]) != digests[0]


def test_from_flagfile_takes_overrides_that_win(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_text("--width=8\n--seed=1\n--images=50\n")
    made = Config.from_flagfile(path, width=16, images=None, per_class=5)
    assert (made.network.width, made.run.seed, made.data.images, made.data.per_class) == (16, 1, None, 5)
    with pytest.raises(UsageError, match="--widht .*--width"):
        Config.from_flagfile(path, widht=16)
    with pytest.raises(UsageError, match="exclude each other"):
        Config.from_flagfile(path, per_class=5)


@pytest.mark.parametrize("values", [
    {"seed": 1.0}, {"seed": True}, {"seed": None}, {"jit": 1}, {"rate": [0.2]}, {"out": b"runs"}, {"width": 0},
    {"rate": float("nan")}, {"model": "resnet20"}, {"rounds": np.float64(3)}, {"subset_seed": -1},
    {"out": "runs "}, {"out": "a\rb"}, {"data_dir": "\udce4"},
])  # fmt: skip
def test_wrong_python_values_are_refused(values):
    with pytest.raises(UsageError, match=f"--{next(iter(values))}"):
        Config.from_values(**values)


def test_numbers_of_numpy_and_numbers_for_text_are_taken():
    made = Config.from_values(
        seed=np.int64(3), learning_rate=1, rate=np.float64(0.5), subset_seed=np.int32(4), validation=0.2, choose=5
    )
    assert made == Config.from_values(
        seed="3", learning_rate="1", rate="0.5", subset_seed="4", validation="0.2", choose="5"
    )
    assert type(made.run.seed) is int and type(made.training.learning_rate) is float
    assert type(made.pruning.rate) is float and type(made.data.subset_seed) is str


def test_rewind_values_mean_what_they_say():
    for text, expected in [
        ("init", ("init", 0)), ("epoch:0", ("epoch", 0)), ("epoch:12", ("epoch", 12)), ("step:5", ("step", 5)),
        ("learning_rate", ("learning_rate", 2)), ("learning_rate:0", ("learning_rate", 0)),
        ("finetune", ("finetune", 2)), ("finetune:0", ("finetune", 0)),
    ]:  # fmt: skip
        assert checks.rewind_parts(Config.from_values(rewind=text).pruning.rewind) == expected
    for text in ["init:0", "epoch", "epoch:", "epoch:-1", "epoch:02", "step:0", "step:1.5", "learning_rate:", "late:1"]:
        with pytest.raises(UsageError, match="--rewind"):
            Config.from_values(rewind=text)


def test_defaults_of_order_seed_and_choose_follow_seed_and_validation():
    assert Config.from_values(seed=3).order_seed == 3
    assert Config.from_values(seed=3, order_seed=0).order_seed == 0
    assert Config().choose == "last"
    assert Config.from_values(validation="0.2").choose == "validation"
    assert Config.from_values(validation="0.2", choose="0").choose == "0"


def test_every_field_is_a_flag_with_a_sentence():
    fields = [name for group in config.GROUPS.values() for name in group.__dataclass_fields__]
    assert fields == list(config.options()) == list(Config().values())
    assert all(option.help for option in config.options().values())
    assert Config.from_values() == Config()


def test_defaults_pass_their_own_checks():
    for option in config.options().values():
        if option.default is not None:
            text = option.format(option.default).partition("=")[2] or str(option.default)
            assert option.parse(text) == option.default


def test_no_flag_shadows_one_of_absl_s_own():
    code = "from absl import app, flags, logging; app.define_help_flags(); print(*flags.FLAGS)"
    taken = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"v", "verbosity", "log_dir"} <= set(taken)
    own = {*config.options(), *(f"no{name}" for name, o in config.options().items() if o.type is bool)}
    assert not own & {*taken, "flagfile", "undefok", "help"}


def test_a_flag_s_name_is_never_another_switch_s_negation():
    switches = {f"no{name}" for name, option in config.options().items() if option.type is bool}
    assert not switches & set(config.options())


def test_main_hands_each_command_its_request():
    request = mock.Mock(command="verify", **{"config.run.dry_run": False})
    verify = mock.Mock(return_value=7)
    with mock.patch.object(main.COMMANDS["verify"], "run", verify):
        assert main.main(request) == 7
    verify.assert_called_once_with(request)
