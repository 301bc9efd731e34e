"""Good flags and flagfiles mean what they say, and a recipe is found by its name."""

import pytest
from absl import flags
from conftest import ROOT
from trees import fill

from tf_tickets.errors import UsageError
from tf_tickets.settings import cli, config
from tf_tickets.sweeps import grid


def parse(*words):
    """A command line parsed in this process."""
    return cli.parse(["tf-tickets", *words], flags.FlagValues())


def test_flags_that_a_command_does_not_read_are_named_but_not_those_of_a_flagfile(tmp_path, capsys):
    (tmp_path / "a.cfg").write_text("--epochs=7\n--dataset=digits\n")
    words = ["tf-tickets", "evaluate", str(tmp_path), f"--flagfile={tmp_path / 'a.cfg'}", "--progress=none", "--jit"]
    cli.parse(words, flags.FlagValues())
    assert capsys.readouterr().err == ""
    cli.parse([*words, "--rounds=3", "--epochs=3"], flags.FlagValues())
    said = capsys.readouterr().err
    assert said == (
        "tf-tickets: evaluate does not read --rounds and --epochs; evaluate --help lists the flags that it reads\n"
    )


def test_a_flag_s_value_may_stand_after_a_space(tmp_path):
    (tmp_path / "a.cfg").write_text("--width=8\n")
    request = parse("--flagfile", str(tmp_path / "a.cfg"), "train", "--seed", "3", "-epochs", "9")
    assert (request.command, request.paths) == ("train", ())
    assert (request.config.network.width, request.config.run.seed, request.config.training.epochs) == (8, 3, 9)
    assert request.names == {"width", "seed", "epochs"} and request.given("seed") and not request.given("rounds")


def test_switches_take_no_following_word(tmp_path):
    for words, wanted in [(["--jit"], True), (["--nojit"], False), (["--jit=true"], True), (["--jit=0"], False)]:
        request = parse(*words, "train")
        assert request.command == "train" and request.config.run.jit is wanted
    (tmp_path / "a.cfg").write_text("--jit\n--nodeterministic\n")
    run = parse(f"--flagfile={tmp_path / 'a.cfg'}").config.run
    assert run.jit and not run.deterministic


def test_later_flags_win_over_earlier_ones_and_over_flagfiles(tmp_path):
    (tmp_path / "a.cfg").write_text("--width=8\n--width=9\n--jit\n")
    flagfile = f"--flagfile={tmp_path / 'a.cfg'}"
    assert parse("--width=1", flagfile).config.network.width == 9
    last = parse(flagfile, "--width=1", "--width=2", "--nojit").config
    assert (last.network.width, last.run.jit) == (2, False)


def test_a_typed_flag_that_a_later_flagfile_overrules_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, {"a.cfg": "--flagfile=b.cfg\n--width=9\n", "b.cfg": "--width=8\n--epochs=7\n"})
    assert parse("--width=1", "--epochs=7", "--flagfile=a.cfg").config.network.width == 9
    said = "--width=1 is overruled by --width=9 (a.cfg, line 2), since of two the later one counts"
    assert capsys.readouterr().err == f"tf-tickets: {said}: put --width after --flagfile to keep it\n"
    parse("--width=9", "--flagfile=a.cfg")
    parse("--flagfile=a.cfg", "--width=1")
    parse("--width=1", "--flagfile=a.cfg", "--width=2")
    assert capsys.readouterr().err == ""


def test_nested_flagfiles_are_relative_to_the_file_that_names_them(tmp_path, monkeypatch):
    fill(tmp_path / "flags", {
        "top.cfg": "--width=8\n--flagfile=more/inner.cfg\n--seed=5\n", "base.cfg": "--epochs=7\n--width=4\n",
        "more/inner.cfg": "--seed=4\n--flagfile=../base.cfg\n",
    })  # fmt: skip
    elsewhere = tmp_path / "else"
    elsewhere.mkdir()
    (elsewhere / "link.cfg").symlink_to("../flags/top.cfg")
    for folder, name in [(tmp_path, "flags/top.cfg"), (elsewhere, "../flags/top.cfg"), (elsewhere, "link.cfg")]:
        monkeypatch.chdir(folder)
        found = parse(f"--flagfile={name}").config
        assert (found.network.width, found.training.epochs, found.run.seed) == (4, 7, 5)
        assert found == config.Config.from_flagfile(name)


def test_a_nested_link_does_not_lead_outside(tmp_path):
    fill(tmp_path, {"secret": "--seed=4\n", "flags/top.cfg": "--flagfile=link.cfg\n"})
    (tmp_path / "flags" / "link.cfg").symlink_to("../secret")
    with pytest.raises(UsageError, match="outside"):
        parse(f"--flagfile={tmp_path / 'flags' / 'top.cfg'}")


def test_a_hash_begins_a_comment_only_at_the_start_of_a_line(tmp_path):
    (tmp_path / "a.cfg").write_bytes(b"\xef\xbb\xbf# Windows' mark and line ends\r\n\r\n  --out=a#b\r\n")
    assert parse(f"--flagfile={tmp_path / 'a.cfg'}").config.run.out == "a#b"


def test_prepare_takes_its_data_set_as_a_word():
    request = parse("prepare", "cifar100", "--archive=x.tar")
    assert (request.command, request.paths, request.config.data.dataset) == ("prepare", ("cifar100",), "cifar100")


def test_the_values_also_stand_in_absl_s_flags():
    values = flags.FlagValues()
    request = cli.parse(["tf-tickets", "--width=8", "--rate=0.5", "--jit"], values)
    assert {name: values[name].value for name in config.options()} == request.config.values()


def test_a_recipe_is_found_by_name_unless_a_file_of_that_name_is_there(tmp_path, monkeypatch):
    fill(tmp_path, {
        "own.cfg": "--flagfile=quickstart.cfg\n--seed=5\n", "below/own.cfg": "--flagfile=flags/few.cfg\n--seed=6\n",
        "below/few.cfg": "--epochs=7\n",
    })  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in ("quickstart.cfg", "flags/quickstart.cfg", "own.cfg"):
        assert parse(f"--flagfile={name}").config.data.dataset == "digits"
        assert config.Config.from_flagfile(name).training.epochs == 40
    assert parse("--flagfile=below/own.cfg").config.training.epochs == 500
    assert parse("--flagfile=cifar10_1pct_rand_cpu.cfg").config.network.width == 16  # which nests two others
    fill(tmp_path, {"quickstart.cfg": "--epochs=3\n", "flags/few.cfg": "--epochs=4\n"})
    assert parse("--flagfile=quickstart.cfg").config.training.epochs == 3
    assert parse("--flagfile=flags/few.cfg").config.training.epochs == 4
    (tmp_path / "cub.cfg").symlink_to("nowhere")
    for name in ("cub.cfg", "elsewhere/cub.cfg", str(tmp_path / "clamm.cfg")):
        with pytest.raises(UsageError, match="cannot be read: No such file or directory$"):
            parse(f"--flagfile={name}")


@pytest.mark.parametrize(("words", "near"), [
    (["--flagfile=quikstart.cfg"], "did you mean quickstart.cfg?"), (["--flagfile=flags/fe.cfg"], "few.cfg?"),
    (["--flagfile=own.cfg"], "did you mean quickstart.cfg? (own.cfg, line 1)"),
    (["sweep", "--sweep=flags/rival.sweep"], "did you mean rivals.sweep"), (["--flagfile=zzz"], "--help=recipes"),
])  # fmt: skip
def test_a_name_that_is_nowhere_is_answered_with_near_ones_and_the_folder(tmp_path, monkeypatch, words, near):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, {"own.cfg": "--flagfile=quickstar.cfg\n"})
    with pytest.raises(UsageError) as caught:
        request = parse(*words)
        grid.points(request.config.command.sweep)
    assert near in str(caught.value) and str(ROOT / "flags") in str(caught.value)
