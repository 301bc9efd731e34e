"""The grid of a sweep: what it means, and what is refused."""

import pytest
from sweeps import resolve

from tf_tickets.errors import UsageError
from tf_tickets.sweeps import grid


def values(text, name):
    return [point.values[name] for point in grid.points(text)]


class TestGrid:
    def test_the_last_field_varies_fastest(self):
        found = grid.points("fraction=0.01,1/50; augment=base,rand ;seed=0..1")
        assert len(found) == 8 and {point.command for point in found} == {"imp"}
        assert found[1].values == {"fraction": 0.01, "augment": "base", "seed": 1}
        assert found[4].values == {"fraction": 0.02, "augment": "base", "seed": 0}
        assert str(found[4]) == "fraction=1/50 augment=base seed=0"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("base,rand(4)|cutout(16)", ["base", "rand(4)|cutout(16)"]),
            ("base|jitter(0.4,0.4,0.4,0.1,0.8),none", ["base|jitter(0.4,0.4,0.4,0.1,0.8)", "none"]),
            ("'crop(4)|flip', \"rand\"", ["crop(4)|flip", "rand"]),
        ],
    )
    def test_commas_in_brackets_and_quotes_part_nothing(self, text, expected):
        assert values(f"seed=3;augment={text}", "augment") == expected

    def test_quotes_hold_what_would_part_values(self):
        assert values("milestones='100,150',\"50,75\"", "milestones") == ["100,150", "50,75"]
        assert values("data_dir='a;b','0..4';seed=1", "data_dir") == ["a;b", "0..4"]
        assert values("data_dir=it's,b", "data_dir") == ["it's", "b"]

    def test_fields_are_settings_of_runs(self):
        assert {"seed", "dataset", "eval_every", "command"} < set(grid.fields())
        assert not {"latex", "pdf", "archive", "out", "sweep"} & set(grid.fields())

    def test_ranges_include_both_ends_and_stand_among_values(self):
        assert values("seed=0..2,7,9..9", "seed") == [0, 1, 2, 7, 9]

    def test_joined_fields_have_one_value(self):
        found = grid.points("seed + subset_seed=4..5")
        assert [point.values for point in found] == [{"seed": s, "subset_seed": str(s)} for s in (4, 5)]
        assert str(found[0]) == "seed+subset_seed=4"

    def test_command_is_a_field(self):
        found = grid.points("command=imp,train;jit=true,false")
        assert [point.command for point in found] == ["imp", "imp", "train", "train"]
        assert [point.values for point in found[:2]] == [{"jit": True}, {"jit": False}]

    def test_a_file_has_one_field_a_line(self, tmp_path):
        path = tmp_path / "grid=1.txt"
        path.write_text("# augmentations\n\n augment = base, rand \r\n  # seeds\nseed=0..1\n")
        assert grid.points(str(path)) == grid.points("augment=base,rand;seed=0..1")
        path.write_text("seed=0\n\nsede=1\n")
        with pytest.raises(UsageError, match=r"grid=1.txt, line 3: 'sede' .* did you mean seed\?"):
            grid.points(str(path))


# --sweep -> what the message must hold.
BAD = {
    "none.txt": ["none.txt", "neither a file nor field=values"],
    ";": ["--sweep=;", "neither"],
    "sede=0": ["'sede'", "did you mean seed?", "accepted are command, dataset,", "rounds"],
    "seed=0;3": ["'3'", "seed=0..4"],
    "seed=0;seed=1": ["seed stands twice", "seed=A,B"],
    "seed+subset_seed=0;subset_seed=1": ["subset_seed stands twice"],
    "seed=0,1,0": ["seed=0 stands twice"],
    "fraction=0.05,1/20": ["fraction=1/20 stands twice"],
    "seed=": ["seed= has no values", "0..4"],
    "seed=0,,1": ["empty place"],
    "seed=4..0": ["seed=4..0 counts down", "0..4"],
    "seed=0..99999999": ["seed=0..99999999", "10,000"],
    "seed=0..999;subset_seed=0..999": ["1,000,000 runs", "10,000"],
    "seed=x": ["seed=x is not a whole number"],
    "augment=base,rnad": ["augment=rnad", "did you mean rand?"],
    "augment=rand(4": ["'augment=rand(4'", "does not close its bracket"],
    "augment=rand)4": ["closes a bracket"],
    "augment='base": ["does not close its quote"],
    "out=a,b": ["out is of the sweep as a whole, as --out", "accepted are"],
    "dry_run=true": ["dry_run"],
    "progress=log": ["progress"],
    "workers=1,2": ["workers"],
    "archive=a": ["'archive' is no field"],
    "command=imp,report": ["command=report is not one of imp, train"],
    "command+seed=0": ["command cannot be joined"],
    "per_class=5;images=60,70": ["at per_class=5 images=60", "--images", "keep one"],
    "rewind=epoch:1,epoch:2": ["at rewind=epoch:2", "--epochs=2"],
    "rewind=epoch:1,step:999;seed=0": ["at rewind=step:999 seed=0", "must lie before"],
    "control=none,one_shot": ["at control=one_shot", "train without --ticket, not imp"],
    "command=train;ticket=none": ["at command=train ticket=none", "no folder"],
    "rounds=2,3": ["rounds=2 and rounds=3 are the same run"],
    "width=2,64;model=vgg11;width=3": ["width stands twice"],
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_grid_is_refused_in_one_line(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        resolve(text)
    message = str(caught.value)
    assert "\n" not in message and "--sweep" in message
    for fragment in BAD[text]:
        assert fragment in message
    assert not list(tmp_path.iterdir())
