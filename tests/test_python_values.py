"""Settings given from Python: what stands for a value is taken, everything else is one line with what is accepted."""

import decimal
import pathlib

import numpy as np
import pytest

import tf_tickets as tt
from tf_tickets.errors import UsageError
from tf_tickets.settings import config


class Unspeakable:
    """Has no representation."""

    def __repr__(self):
        raise RuntimeError("none")


# of no use for any setting
WRONG = {
    "function": lambda: 0, "list": ["resnet18"], "tuple": (1,), "bytes": b"resnet18", "dict": {}, "type": int,
    "complex": 1j, "array": np.zeros((40, 40)), "datetime": np.datetime64("2020-01-01"), "object": Unspeakable(),
    "bytes of numpy": np.bytes_(b"1"), "decimal": decimal.Decimal("0.5"),
}  # fmt: skip
# one setting of each kind, and what its messages name
ACCEPTED = {
    "model": "one of resnet18, ", "rewind": "text (where later rounds start: init, epoch:K, ", "epochs": "at least 1",
    "rate": "a number, above 0 and at most 0.999", "jit": "True or False",
}  # fmt: skip


def refusal(**values):
    """The one line that refuses the values."""
    with pytest.raises(UsageError) as refused:
        tt.Config.from_values(**values)
    message = str(refused.value)
    assert message.isprintable(), message
    return message


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", ACCEPTED)
def test_a_wrong_type_is_named_with_the_flag_the_value_and_what_is_accepted(name, kind):
    message = refusal(**{name: WRONG[kind]})
    assert message.startswith(f"--{name}=") and " is of type " in message and ACCEPTED[name] in message
    value = message.removeprefix(f"--{name}=").partition(" is of type ")[0]
    assert 0 < len(value) <= 103 and value != "is"


def test_the_value_is_shown_as_python_writes_it():
    assert refusal(model=["a\nb"]).startswith("--model=['a\\nb'] is of type list, not one of resnet18, ")
    assert refusal(model=WRONG["function"]).startswith("--model=<function ")
    assert refusal(rate=WRONG["object"]).startswith("--rate=<Unspeakable> is of type Unspeakable, not a number")
    assert refusal(out="a\nb") == "--out=a\\nb holds a line break"


@pytest.mark.parametrize("name", [name for name, option in config.options().items() if not option.optional])
def test_none_is_refused_where_a_value_is_needed(name):
    assert refusal(**{name: None}).startswith(f"--{name}=None is no value: give ")


@pytest.mark.parametrize(("values", "expected"), [
    ({"jit": 1}, "--jit=1 is of type int, not True or False"),
    ({"epochs": True}, "--epochs=True is of type bool, not a whole number, at least 1"),
    ({"epochs": 3.0}, "--epochs=3.0 is of type float, not a whole number, at least 1"),
    ({"epochs": np.float64(3)}, "is of type float, not a whole number"),
    ({"validation": True}, "--validation=True is of type bool, not text"),
    ({"rate": float("nan")}, "--rate=nan is not a finite number"), ({"rate": np.nan}, "is not a finite number"),
    ({"rate": float("inf")}, "is not a finite number"), ({"rate": 10**400}, "is not a finite number"),
    ({"epochs": 10**5000}, "has more than 100 digits"), ({"subset_seed": 10**5000}, "has more than 100 digits"),
    ({"seed": "9" * 101}, "has more than 100 digits"), ({"subset_seed": float("nan")}, "--subset_seed=nan is neither"),
    ({"model": pathlib.Path("resnet")}, "is not one of"), ({"rounds": 0}, "--rounds=0 is below 1"),
])  # fmt: skip
def test_numbers_that_are_none_or_too_large_are_refused(values, expected):
    assert expected in refusal(**values)


def test_paths_and_numpy_s_scalars_stand_for_text_numbers_and_switches():
    made = tt.Config.from_values(
        out=pathlib.Path("a/b"), data_dir=pathlib.PurePosixPath("data"), model=np.str_("vgg11"), jit=np.True_,
        rate=np.array(0.5), epochs=np.array(7), seed=np.uint8(3), learning_rate=np.float32(0.5),
    )  # fmt: skip
    assert made == tt.Config.from_values(
        out="a/b", data_dir="data", model="vgg11", jit="true", rate="0.5", epochs="7", seed="3", learning_rate="0.5"
    )
    assert [type(value) for value in (made.run.out, made.network.model, made.run.jit, made.pruning.rate)] == [
        str, str, bool, float,
    ]  # fmt: skip
