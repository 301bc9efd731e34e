"""The language of policies: what it reads, what presets stand for, and how it refuses."""

import subprocess
import sys

import pytest

from tf_tickets.settings import policies


@pytest.mark.parametrize(("policy", "chain"), [
    ("none", ""), ("", ""), ("base", "crop(4)|flip"), ("none|base", "crop(4)|flip"),
    ("contrast", "crop(4)|flip|jitter(0.4,0.4,0.4,0.1,0.8)|grey(0.2)"),
    ("rand", "crop(4)|flip|rand(4)|cutout(16)"), ("auto", "crop(4)|flip|autoaugment(cifar10)|cutout(16)"),
    ("auto(svhn)", "crop(4)|flip|autoaugment(svhn)|cutout(16)"), ("none|autoaugment(svhn)", "autoaugment(svhn)"),
    ("custom", "crop(4)|flip|imgaug"), (" base | rand(2)|mixup(0.2)", "crop(4)|flip|rand(2)|mixup(0.2)"),
])  # fmt: skip
def test_presets_stand_for_chains(policy, chain):
    assert policies.expand(policy) == chain
    assert policies.parse(policy) == policies.parse(chain)
    assert policies.check(policy) is None
    assert policies.expand(policies.expand(policy, "flip", 4), "crop(9)", 9) == policies.expand(policy, "flip", 4)


def test_a_data_set_s_own_base_and_side():
    assert policies.expand("rand", "crop(1)", 4) == "crop(1)|rand(4)|cutout(4)"
    assert policies.expand("base|blur(0.5)", "crop(1)", 4) == "crop(1)|blur(0.5)"
    assert policies.expand("custom", "crop(1)", 4) == "crop(1)|imgaug_upright"
    assert policies.expand("simclr", "crop(1)", 4) == "resized_crop(0.08)|jitter(0.4,0.4,0.4,0.1,0.8)|grey(0.2)"


def test_arguments_are_literals():
    (step,) = policies.parse("jitter( 0.4, 0.4, 0.2, 0.1, 1 )")
    assert step.name == "jitter" and step.arguments == (0.4, 0.4, 0.2, 0.1, 1.0)
    assert policies.parse("crop(4)")[0].arguments == (4,)


@pytest.mark.parametrize(("policy", "message"), [
    ("rnad", "did you mean rand?"),
    ("rnad", "presets are none, base, contrast, rand, auto, custom, simclr; operations are crop, flip, vertical_flip"),
    ("crop(4)|", "empty place"), ("|flip", "empty place"),
    ("crop(4.5)", "padding '4.5' is not a whole number from 0 to 64"),
    ("crop(-1)", "is not a whole number"), ("crop(65)", "is not a whole number from 0 to 64"),
    ("crop(4", "where an operation such as crop(4) is wanted"),
    ("crop", "write crop(padding)"), ("flip(2)", "write flip without arguments"), ("crop(1,2)", "write crop(padding)"),
    ("base|autoaugment(mnist)", "table 'mnist' is not one of cifar10, imagenet, svhn"),
    ("rand(__import__('os'))", "operation such as crop(4)"), ("grey(1e-1)", "is not a number from 0 to 1"),
    ("grey(\u0661)", "is not a number"), ("mixup(1)|flip", "not the last"), ("rotate(90)", "from 0 to 45"),
    ("base|rand", "has the preset 'rand' inside a chain: alone it means base|rand(4)|cutout(16)"),
    ("base|auto(svhn)", "alone it means base|autoaugment(svhn)|cutout(16)"),
])  # fmt: skip
def test_what_is_not_understood_is_refused_with_what_is(policy, message):
    assert message in policies.check(policy)


def test_every_operation_says_what_it_takes():
    for name, operation in policies.OPERATIONS.items():
        assert operation.help
        problem = policies.check(f"{name}(a,b,c,d,e,f,g)")
        assert f"write {name}" in problem


def test_a_wrong_policy_needs_no_tensorflow_and_leaves_nothing(tmp_path):
    code = (
        "import sys; from tf_tickets import main\n"
        "try: main.entry_point()\n"
        "finally: assert 'tensorflow' not in sys.modules"
    )
    words = ["--dataset=digits", "--per_class=5", "--augment=base|rnd(4)", f"--out={tmp_path}/runs"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "--augment" in done.stderr and "did you mean rand?" in done.stderr
    assert not (tmp_path / "runs").exists()
