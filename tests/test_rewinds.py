"""Searches by rewind point: which are compared, over which pairs, at which round, with which barriers."""

import pandas
import pytest
from test_page import Outline

from tf_tickets.report import command, rewinds, tables

EPOCHS = (0, 2, 5, 10)


def searches(seeds=6):
    """Searches of three rounds for each rewind epoch, and dense and sparse copies trained from their rewind points."""
    rows = []
    for number, epoch in enumerate(EPOCHS):
        for seed in range(seeds):
            common = {"dataset": "cifar10", "model": "resnet18", "data": "1 % of the images", "augment": "base",
                      "control": "none", "rewind": f"epoch:{epoch}", "seed": seed, "order_seed": seed,
                      "subset_seed": str(seed), "recipe": "unknown", "criterion": "magnitude",
                      "searched": 0, "weights_total": 1000}  # fmt: skip
            kinds = [(f"aaaaaaa{number}", 0, 1000, 0.40 + 0.01 * seed), (f"aaaaaaa{number}", 1, 500, 0.41),
                     (f"aaaaaaa{number}", 2, 250, 0.42 + 0.01 * seed + 0.001 * epoch),
                     (f"bbbbbbb{number}", 0, 1000, 0.40), (f"ccccccc{number}", 0, 250, 0.42)]  # fmt: skip
            for digest, index, left, accuracy in kinds:
                rows.append({
                    **common, "run": f"cifar10-resnet18-{digest}/seed_{seed}", "digest": digest, "round": index,
                    "weights_left": left, "density": left / 1000, "test_accuracy": accuracy, "train_loss": 1.0,
                    "epochs": 30 if index == 0 and digest[0] == "a" else 30 - epoch,
                    "test_balanced_accuracy": accuracy, "test_accuracy_best_epoch": None, "validation_accuracy": None,
                    "images": 500, "pretrained": "", "exported": int(index == 2), "scope": "global",
                    "training_multiply_adds": None, "soup_members": None, "distillation": "",
                })  # fmt: skip
    return pandas.DataFrame(rows)[list(tables.COLUMNS)]


def barriers(frame):
    """The rows that `analyze --what=stability` leaves with the copies: 0.3 - 0.02 K dense, 0.1 - 0.01 K sparse."""
    rows = []
    for row in frame[frame["digest"].str.startswith(("b", "c"))].to_dict("records"):
        epoch = int(row["rewind"].partition(":")[2])
        value = 0.3 - 0.02 * epoch if row["density"] == 1.0 else 0.1 - 0.01 * epoch
        facts = {name: row[name] for name in ("run", "digest", "seed", "subset_seed", "round", "density")}
        facts |= {"evaluator": "stability", "setting": "other/round_00,points=11", "n": 1000}
        rows += [facts | {"metric": "barrier_test", "value": value}, facts | {"metric": "barrier_train", "value": 0.9}]
    return pandas.DataFrame(rows)


def test_each_rewind_epoch_has_its_ticket_and_its_barriers():
    frame = searches()
    found = rewinds.compared(frame, barriers(frame))
    assert list(found["rewind_epoch"]) == list(EPOCHS) and list(found["n"]) == [6] * 4
    assert set(found["round"]) == {2} and set(found["density"]) == {0.25}
    assert found["difference"].to_list() == pytest.approx([2.0, 2.2, 2.5, 3.0])
    assert found["dense_barrier"].to_list() == pytest.approx([0.3, 0.26, 0.2, 0.1])
    assert found["ticket_barrier"].to_list() == pytest.approx([0.1, 0.08, 0.05, 0.0])
    assert list(found["dense_barriers"]) == list(found["ticket_barriers"]) == [6] * 4


def test_init_is_epoch_0_and_other_kinds_are_no_epoch():
    assert [rewinds.epoch(kind) for kind in ("init", "epoch:0", "epoch:12")] == [0, 0, 12]
    assert {rewinds.epoch(kind) for kind in ("step:5", "trained", "finetune", "learning_rate:2")} == {None}


def test_all_are_taken_where_each_has_come():
    frame = searches()
    behind = (frame["digest"] == "aaaaaaa2") & (frame["round"] == 2)
    found = rewinds.compared(frame[~behind], barriers(frame))
    assert set(found["round"]) == {1} and set(found["density"]) == {0.5}
    assert found["ticket_barrier"].isna().all() and set(found["ticket_barriers"]) == {0}, "of another density"
    assert "barrier, ticket" not in rewinds.cells(found) and "barrier, dense" in rewinds.cells(found)
    # One seed that came further than the others does not move the comparison.
    found = rewinds.compared(frame[~behind | (frame["seed"] == 3)], barriers(frame))
    assert set(found["round"]) == {1} and list(found["n"]) == [6] * 4


def test_only_pairs_that_all_have_are_compared():
    frame = searches()
    alone = frame[(frame["digest"] != "aaaaaaa2") | frame["seed"].isin([1, 2])]
    found = rewinds.compared(alone, barriers(frame))
    assert list(found["n"]) == [2] * 4 and list(found["dense_barriers"]) == [2] * 4
    assert found["dense_accuracy"].to_list() == pytest.approx([0.415] * 4)
    assert rewinds.heading(found).endswith("over 2 pairs that all have")
    apart = frame.assign(seed=frame["seed"].where(frame["digest"] != "aaaaaaa2", frame["seed"] + 100))
    assert rewinds.compared(apart, barriers(frame)).empty


def test_barriers_are_those_of_the_same_network_and_count_once_for_a_pair():
    frame = searches(2)
    rows = barriers(frame)
    wanted = rewinds.compared(frame, rows)
    again = rows.assign(setting="third/round_00,points=11", value=rows["value"] + 0.2)
    twice = rewinds.compared(frame, pandas.concat([rows, again]))
    assert list(twice["dense_barriers"]) == [2] * 4
    assert twice["dense_barrier"].to_list() == pytest.approx([value + 0.1 for value in wanted["dense_barrier"]])
    for column, value in (("dataset", "mnist"), ("model", "vgg16"), ("augment", "rand"), ("control", "reinitialize")):
        copies = frame[frame["digest"].str.startswith(("b", "c"))]
        foreign = copies.assign(run="x" + copies["run"], digest="x" + copies["digest"], **{column: value})
        both = pandas.concat([rows, barriers(frame).assign(run="x" + rows["run"], value=0.9)])
        pandas.testing.assert_frame_equal(rewinds.compared(pandas.concat([frame, foreign]), both), wanted)


def test_what_comes_first_does_not_matter_and_the_largest_set_counts():
    frame = searches()
    other = frame[frame["digest"] == "aaaaaaa1"].assign(digest="dddddddd", epochs=60)
    found = rewinds.compared(pandas.concat([other, frame]), barriers(frame))
    pandas.testing.assert_frame_equal(found, rewinds.compared(frame, barriers(frame)))
    rate = frame["digest"].eq("aaaaaaa3") & frame["round"].gt(0)
    slower = frame.assign(weights_left=frame["weights_left"].where(~rate, 800))
    assert list(rewinds.compared(slower, barriers(frame))["rewind_epoch"]) == [0, 2, 5]


def test_two_recipes_at_one_epoch_cannot_be_told_apart():
    frame = searches()
    twin = frame[frame["digest"] == "aaaaaaa1"].assign(digest="dddddddd", test_accuracy=0.9)
    assert list(rewinds.compared(pandas.concat([frame, twin]), barriers(frame))["rewind_epoch"]) == [0, 5, 10]


def test_copies_and_other_rewind_points_are_no_rivals():
    frame = searches()
    rows = barriers(frame)
    found = rewinds.compared(frame, rows)
    assert set(rewinds.without(frame, rows, found)["digest"]) == {"aaaaaaa0"}
    assert set(rewinds.without(frame[::-1], rows, found)["digest"]) == {"aaaaaaa3"}
    # A search that was itself compared stays, and so do recipes that stand in no comparison of rewind points.
    own = rows.assign(run="cifar10-resnet18-aaaaaaa0/seed_0")
    assert len(rewinds.without(frame, own, found.iloc[:0])) == len(frame)


@pytest.mark.parametrize("column, value", [("epochs", 60), ("augment", "rand"), ("data", "2 %"), ("model", "vgg16")])
def test_searches_that_differ_in_more_are_not_compared(column, value):
    frame = searches()
    frame.loc[frame["digest"].isin(["aaaaaaa1", "aaaaaaa3"]), column] = value
    assert rewinds.compared(frame, barriers(frame)).empty
    frame.loc[frame["digest"] == "aaaaaaa1", column] = searches().loc[0, column]
    assert list(rewinds.compared(frame, barriers(frame))["rewind_epoch"]) == [0, 2, 5]


def test_a_control_is_no_search():
    frame = searches()
    frame.loc[frame["digest"].isin(["aaaaaaa1", "aaaaaaa3"]), "control"] = "random"
    assert rewinds.compared(frame, barriers(frame)).empty


def test_the_figure_has_the_numbers():
    frame = searches()
    found = rewinds.compared(frame, barriers(frame))
    above, below = rewinds.figure(found).axes
    lines = {line.get_label(): line for line in above.lines}
    assert lines["ticket"].get_ydata() == pytest.approx([44.5, 44.7, 45.0, 45.5])
    assert lines["dense"].get_ydata() == pytest.approx([42.5] * 4)
    lines = {line.get_label(): line for line in below.lines}
    assert lines["dense"].get_ydata() == pytest.approx([30, 26, 20, 10])
    alone = rewinds.compared(frame, barriers(frame).iloc[:0])
    assert len(rewinds.figure(alone).axes) == 1


def test_the_report_has_them(tmp_path, no_figures):
    frame = searches(2)
    tables.write_rows(frame, str(tmp_path / "report.csv"))
    barriers(frame).to_csv(tmp_path / "evaluations.csv", index=False)
    text, problems = command.report([str(tmp_path)])
    assert not problems and "rewinds.csv" in text
    assert "Rewind points compared after round 2, density 25.00 %, over 2 pairs that all have\n" in text
    printed = pandas.read_csv(tmp_path / "rewinds.csv")
    assert printed["ticket_barrier"].to_list() == pytest.approx([0.1, 0.08, 0.05, 0.0])
    assert (tmp_path / "figures" / "rewinds.svg").exists()
    outline = Outline((tmp_path / "report.html").read_text()).text
    assert "Rewind points compared after round 2" in outline and "barrier, ticket" in outline
    tables.write_rows(frame[frame["digest"] == "aaaaaaa0"], str(tmp_path / "one" / "report.csv"))
    (tmp_path / "one" / "rewinds.csv").write_text("of an earlier report")
    command.report([str(tmp_path / "one")])
    assert not (tmp_path / "one" / "rewinds.csv").exists()
