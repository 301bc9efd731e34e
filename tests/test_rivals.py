"""The ticket against its rivals: where they meet, over which pairs, under which names, and in the figure."""

import numpy as np
import pandas
import pytest

from tf_tickets.report import pairing, plots, rivals, statistics


def recipes():
    """Six pairs of a search and its rivals, as `tables.collect` gives them."""
    rows = []
    for seed in range(6):
        common = {"seed": seed, "subset_seed": seed, "order_seed": 0, "dataset": "cifar10", "model": "resnet18",
                  "data": "1 %", "augment": "base", "rewind": "epoch:2", "searched": 0, "epochs": 30,
                  "recipe": "unknown", "criterion": "magnitude", "soup_members": None, "distillation": ""}  # fmt: skip
        for digest, control, rounds in [
            ("aaaaaaaa", "none", [(0, 1000, 1000, 0.40), (1, 500, 1000, 0.45), (2, 250, 1000, 0.46 + 0.01 * seed)]),
            ("bbbbbbbb", "random", [(0, 1000, 1000, 0.40), (1, 500, 1000, 0.44), (2, 250, 1000, 0.36)]),
            ("cccccccc", "none", [(0, 1000, 1000, 0.45 + 0.02 * seed)]),
            ("dddddddd", "small_dense", [(0, 240, 240, 0.30)]),
            ("eeeeeeee", "one_shot", [(0, 1000, 1000, 0.40), (1, 250, 1000, 0.42)]),
        ]:
            for index, left, total, accuracy in rounds:
                short = {"searched": int(digest == "bbbbbbbb" and index == 1)}
                rows.append({**common, **short, "run": f"{digest}/{seed}", "digest": digest, "control": control,
                             "round": index, "weights_left": left, "weights_total": total,
                             "density": left / total, "test_accuracy": accuracy})  # fmt: skip
    frame = pandas.DataFrame(rows)
    frame.loc[frame["digest"] == "cccccccc", "epochs"] = 240
    return frame


def test_each_rival_meets_the_ticket_at_equal_weights_or_at_the_end():
    found = rivals.compared(recipes())
    assert list(found["name"]) == ["random pruning", "dense, 240 epochs", "small dense network", "pruned at once"]
    assert list(found["round"]) == [2, 2, 2, 2] and list(found["n"]) == [6] * 4
    assert list(found["rival_density"]) == [0.25, 1.0, 0.24, 0.25]
    ticket = np.mean([0.46 + 0.01 * seed for seed in range(6)])
    assert found["ticket_accuracy"].to_numpy() == pytest.approx(ticket)
    assert list(found["difference"]) == pytest.approx([12.5, -1.5, 18.5, 6.5])


def test_networks_that_learn_from_a_teacher_of_their_own_pair_are_one_rival_and_say_so():
    frame = recipes()
    dense, search = (frame[frame["digest"] == digest] for digest in ("cccccccc", "aaaaaaaa"))
    taught = dense.assign(
        distillation="50 % taught by a teacher", recipe="same", run="t" + dense["run"], test_accuracy=0.6,
        digest=[f"0000000{seed}" for seed in dense["seed"]],
    )  # fmt: skip
    both = search.assign(distillation="50 % taught by its dense network", digest="11111111", run="s" + search["run"])
    table = rivals.compared(pairing.pooled(pandas.concat([frame, taught, both], ignore_index=True)))
    met = table[table["digest"] == "aaaaaaaa"].set_index("name")
    assert met.loc["dense, 240 epochs, 50 % taught by a teacher", ["n", "rival_accuracy"]].to_list() == [6, 0.6]
    assert {"dense, 240 epochs", "magnitude, 50 % taught by its dense network"} <= set(met.index)


def test_a_rival_of_another_density_meets_the_search_of_that_density():
    frame = recipes().assign(scope="global")
    search = frame[frame["digest"] == "aaaaaaaa"]
    sparser = search.assign(digest="00000000", run="0" + search["run"])
    sparser[["weights_left", "density"]] = sparser[["weights_left", "density"]].mask(sparser["round"] > 0, 100)
    sparser["density"] = sparser["weights_left"] / 1000
    rigl = search[search["round"] == 1].assign(
        digest="ffffffff", run="f" + search["run"], control="rigl", round=0, weights_left=100, density=0.1
    )
    alone = rigl.assign(digest="gggggggg", weights_left=10, density=0.01)
    by_taylor = search.assign(digest="0000000a", criterion="taylor", run="t" + search["run"])
    found = rivals.compared(pandas.concat([by_taylor, frame, sparser, rigl, alone], ignore_index=True))
    assert found["digest"].iloc[0] == "aaaaaaaa"  # by magnitude, though another search comes first
    met = found[found["rival"] == "ffffffff"]
    assert set(met["digest"]) == {"00000000"} and set(met["density"]) == {0.1} == set(met["rival_density"])
    assert "gggggggg" not in set(found["rival"])
    assert set(found[found["rival"] == "0000000a"]["digest"]) == {"aaaaaaaa"}


def test_a_dense_network_is_not_called_by_what_would_have_been_removed():
    frame = recipes().assign(scope="global")
    frame.loc[frame["digest"] == "cccccccc", ["criterion", "scope"]] = ["taylor", "erk"]
    assert plots.labels(frame)[1]["cccccccc"] == "dense, 240 epochs"


def test_pairs_are_those_of_the_seeds_and_all_rivals_are_corrected_for():
    frame = recipes()
    found = rivals.compared(frame).set_index("rival")
    # +1, 0, -1, -2, -3, -4 points: signs flipped, |sum| >= 9 in 22 of 64 cases.
    direct = statistics.paired_difference(
        [0.45 + 0.02 * seed for seed in range(6)], [0.46 + 0.01 * seed for seed in range(6)]
    )
    row = found.loc["cccccccc"]
    assert (row["low"], row["high"]) == pytest.approx((100 * direct.low, 100 * direct.high))
    assert row["p_value"] == direct.p_value
    assert list(found["p_holm"]) == pytest.approx([4 * 2 / 64, direct.p_value, 4 * 2 / 64, 4 * 2 / 64])
    fewer = frame[(frame["digest"] != "dddddddd") | (frame["seed"] < 3)]
    assert rivals.compared(fewer).set_index("rival").loc["dddddddd", "n"] == 3


def test_they_meet_where_both_have_as_many_weights_whatever_the_round():
    frame = recipes()
    rows = (frame["digest"] == "bbbbbbbb") & (frame["round"] == 2)
    frame.loc[rows, ["round", "density", "weights_left"]] = [5, 0.5, 500]
    found = rivals.compared(frame).set_index("rival").loc["bbbbbbbb"]
    assert (found["round"], found["density"], found["rival_density"]) == (1, 0.5, 0.5)
    assert found["difference"] == pytest.approx(9.0)


def test_the_table_goes_from_dense_to_sparse_and_from_right_to_wrong():
    table = rivals.compared(recipes())
    wanted = ["dense, 240 epochs", "pruned at once", "random pruning", "small dense network"]
    assert rivals.cells(table)["against"] == [name for name, _ in rivals.results(table)] == wanted
    table.loc[table["name"] == "dense, 240 epochs", "density"] = 0.1
    table["rival_accuracy"] = 0.5
    wanted = ["pruned at once", "random pruning", "small dense network", "dense, 240 epochs"]
    assert rivals.cells(table)["against"] == wanted
    assert rivals.cells(table)["ticket - rival, points"] == ["+6.50", "+12.50", "+18.50", "-1.50"]


def test_the_note_says_why_two_pairs_have_no_interval():
    frame = recipes()
    found = rivals.compared(frame[frame["seed"].isin([0, 1]) | (frame["digest"] == "aaaaaaaa")].assign(
        test_accuracy=frame["test_accuracy"].where(frame["digest"] != "aaaaaaaa", 0.4)
    ))  # fmt: skip
    agreeing = found[found["rival"] == "bbbbbbbb"].iloc[0]
    assert agreeing["note"] == "no interval since both pairs agree" and np.isnan(agreeing["low"])


def test_the_meeting_with_most_pairs_is_corrected_for():
    frame = recipes()
    frame.loc[frame["digest"] == "bbbbbbbb", "searched"] = 0
    frame = frame[(frame["digest"] != "bbbbbbbb") | (frame["round"] < 2) | (frame["seed"] == 0)]
    found = rivals.compared(frame)
    mine = found[found["rival"] == "bbbbbbbb"]
    assert list(mine["n"]) == [6, 1] and list(mine["p_holm"].isna()) == [False, True]
    assert dict(rivals.results(found))["random pruning"].n == 6


def test_a_control_that_has_only_begun_is_none():
    frame = recipes()
    begun = frame[(frame["digest"] != "bbbbbbbb") | (frame["round"] == 0)]
    assert "bbbbbbbb" not in set(rivals.compared(begun)["rival"])


def test_controls_of_each_pair_s_own_ticket_are_one_rival():
    frame = recipes()
    small = frame["control"] == "small_dense"
    apart = frame.assign(digest=frame["digest"].where(~small, frame["digest"] + frame["seed"].astype(str)))
    assert (rivals.compared(apart)["name"].str.startswith("small dense")).sum() == 6
    found = rivals.compared(pairing.pooled(apart))
    assert list(found["name"]) == list(rivals.compared(frame)["name"]) and set(found["n"]) == {6}
    pandas.testing.assert_frame_equal(pairing.pooled(frame), frame)


def test_controls_of_tickets_of_other_densities_stay_apart():
    frame = recipes()
    fresh = frame[frame["digest"] == "dddddddd"].assign(control="reinitialize", weights_total=1000)
    first, second = (fresh.assign(digest=f"{left:08d}", weights_left=left, density=left / 1000) for left in (500, 250))
    both = pairing.pooled(pandas.concat([frame, first, second], ignore_index=True))
    assert {"00000500", "00000250"} <= set(both["digest"])


def test_the_first_search_that_has_rivals_is_compared():
    """Such as a refit, to whose images the controls belong, behind the search on fewer."""
    frame = recipes()
    alone = frame[frame["digest"] == "aaaaaaaa"].assign(digest="00000000", data="1 %, 20 % held out")
    found = rivals.compared(pandas.concat([alone, frame], ignore_index=True))
    assert set(found["digest"]) == {"aaaaaaaa"} and len(found) == 4


def test_of_refits_each_run_s_own_last_round_counts():
    frame = recipes()
    refits = frame[frame["digest"] == "aaaaaaaa"].assign(digest="aaaaaaaa-refit")
    kept = refits[(refits["round"] < 2) | (refits["seed"] < 2)]
    density, dense, ticket, result = pairing.pair(kept, "aaaaaaaa-refit", 2)
    assert result.n == 6 and density == 0.5 and dense == pytest.approx(0.40)
    assert ticket == pytest.approx((0.46 + 0.47 + 4 * 0.45) / 6)
    assert pairing.pair(kept, "aaaaaaaa-refit", 1)[3].n == 6
    assert pairing.pair(kept.assign(digest="aaaaaaaa"), "aaaaaaaa", 2)[3].n == 2


def test_controls_of_tickets_trained_otherwise_stay_apart():
    frame = recipes()
    small = frame[frame["digest"] == "dddddddd"]
    other = small.assign(digest="ffffffff", recipe="another weight decay")
    both = pairing.pooled(pandas.concat([frame, other], ignore_index=True))
    assert {"dddddddd", "ffffffff"} <= set(both["digest"])


def test_other_images_or_networks_are_no_rivals():
    frame = recipes()
    frame.loc[frame["digest"] == "bbbbbbbb", "data"] = "2 %"
    frame.loc[frame["digest"] == "cccccccc", "model"] = "vgg11"
    frame.loc[frame["digest"] == "dddddddd", "seed"] += 6
    assert list(rivals.compared(frame)["rival"]) == ["eeeeeeee"]
    wider = frame["digest"] == "eeeeeeee"
    frame.loc[wider, "weights_total"] *= 4
    assert rivals.compared(frame).empty
    assert rivals.compared(frame[frame["digest"] != "aaaaaaaa"]).empty


def test_the_search_has_its_dense_line_whatever_comes_first():
    frame = recipes()[::-1]
    (axes,) = plots.figure(frame, "").axes
    dense = [line.get_label() for line in axes.lines if line.get_linestyle() == "--"]
    assert sorted(dense) == ["dense, 240 epochs: mean of 6 runs", "magnitude: dense"]


def test_searches_with_one_dense_round_share_its_line():
    frame = recipes()
    frame = frame[frame["digest"] == "aaaaaaaa"]
    later = frame.assign(digest="ffffffff", rewind="epoch:5", run=frame["run"] + "f")
    (axes,) = plots.figure(pandas.concat([frame, later]), "").axes
    assert [line.get_label() for line in axes.lines if line.get_linestyle() == "--"] == ["dense"]
    later["test_accuracy"] += 0.01
    (axes,) = plots.figure(pandas.concat([frame, later]), "").axes
    dense = [line.get_label() for line in axes.lines if line.get_linestyle() == "--"]
    assert dense == ["rewind epoch:2: dense", "rewind epoch:5: dense"]


def test_of_many_recipes_those_that_prune_have_the_figure():
    frame = recipes()
    alone = frame[frame["digest"] == "cccccccc"]
    many = pandas.concat([frame, *(alone.assign(digest=f"ffffffff{n}", epochs=60 + n) for n in range(16))])
    assert plots.shown(frame) == ["aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd", "eeeeeeee"]
    assert plots.shown(many) == ["aaaaaaaa", "bbbbbbbb", "eeeeeeee"]
    (axes,) = plots.figure(many, "cifar10").axes
    assert axes.get_title() == "cifar10, 3 of 21 recipes"
    assert len(plots.shown(many[many["round"] == 0])) == plots.MOST_GROUPS
    rivals_of = frame[frame["digest"] == "bbbbbbbb"]
    twelve = pandas.concat([frame, *(rivals_of.assign(digest=f"ffffffff{n}", criterion=f"c{n}") for n in range(7))])
    (axes,) = plots.figure(twelve, "cifar10").axes
    looks = [(line.get_color(), line.get_markerfacecolor()) for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(set(looks)) == len(looks) == 9  # also beyond the number of colours


def test_a_small_network_and_a_long_dense_one_stand_where_they_belong():
    (axes,) = plots.figure(recipes(), "").axes
    lines = {line.get_label(): line for line in axes.lines}
    small = next(line for label, line in lines.items() if "small dense" in label)
    assert small.get_xydata().tolist() == [[0.24, 30.0]]
    levels = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert levels == pytest.approx([40.0, 50.0])


def test_recipes_are_named_for_what_they_are():
    frame = recipes()
    names = plots.labels(frame)[1]
    assert list(names.values()) == [
        "magnitude", "random pruning", "dense, 240 epochs", "small dense network", "pruned at once"
    ]  # fmt: skip
    frame.loc[(frame["digest"] == "bbbbbbbb"), "control"] = "none"
    frame = frame[frame["digest"].isin(["aaaaaaaa", "bbbbbbbb"])]
    assert plots.labels(frame)[1] == {"aaaaaaaa": "magnitude", "bbbbbbbb": "shortened rounds"}
    assert plots.labels(frame[frame["digest"] == "aaaaaaaa"])[1] == {"aaaaaaaa": "aaaaaaaa"}
    by_own = frame.assign(criterion=frame["digest"].map({"aaaaaaaa": "magnitude", "bbbbbbbb": "own"}), searched=0)
    assert plots.labels(by_own)[1] == {"aaaaaaaa": "magnitude", "bbbbbbbb": "own"}
    at_once = by_own.assign(control="one_shot")
    assert plots.labels(at_once)[1] == {"aaaaaaaa": "pruned at once", "bbbbbbbb": "pruned at once by own"}
    twice = frame.assign(digest=frame["digest"].replace("bbbbbbbb", "aaaaaaab"), searched=0)
    assert list(plots.labels(twice)[1].values()) == ["aaaaaaaa", "aaaaaaab"]


def costly():
    """The frame of `recipes` with what each round cost, and RigL at three densities in runs of their own."""
    frame = recipes().assign(images=500, training_multiply_adds=lambda rows: 1e9 * rows["density"] * rows["epochs"])
    of_one = frame[(frame["digest"] == "eeeeeeee") & (frame["round"] == 1)]
    parts = [
        of_one.assign(
            digest=digest, run=digest + of_one["run"], control="rigl", round=0, weights_left=left, density=left / 1000,
            recipe="one", test_accuracy=accuracy + 0.01 * of_one["seed"],
        )
        for digest, left, accuracy in (("ffffffff", 500, 0.43), ("gggggggg", 250, 0.41), ("hhhhhhhh", 125, 0.38))
    ]  # fmt: skip
    return pandas.concat([frame, *parts], ignore_index=True)


def test_what_each_cost_stands_beside_its_difference():
    frame = costly()
    table = rivals.compared(frame).set_index("rival")
    assert table.loc["bbbbbbbb", "ticket_images"] == 3 * 30 * 500
    assert table.loc["dddddddd", "rival_images"] == 30 * 500 and table.loc["cccccccc", "rival_images"] == 240 * 500
    at_last = table.loc["bbbbbbbb"]  # shortened rounds cost too
    assert at_last["rival_images"] == 3 * 30 * 500
    assert at_last["ticket_multiply_adds"] == pytest.approx(30e9 * (1 + 0.5 + 0.25))
    assert table.loc["gggggggg", "rival_multiply_adds"] == pytest.approx(30e9 * 0.25)
    cells = rivals.cells(rivals.compared(frame))
    assert "120,000 (2.67)" in cells["images trained, to ticket"]
    assert "7.50e+09 (0.14)" in cells["multiply-adds, to ticket"]
    assert "-" not in rivals.cells(rivals.compared(frame))["multiply-adds, to ticket"]
    unknown = frame.assign(training_multiply_adds=frame["training_multiply_adds"].where(frame["control"] != "rigl"))
    assert rivals.cells(rivals.compared(unknown))["multiply-adds, to ticket"].count("-") == 2
    assert "multiply-adds, to ticket" not in rivals.cells(rivals.compared(recipes()))


def test_a_method_with_a_run_for_each_density_is_one_curve():
    frame = costly()
    assert list(plots.labels(frame)[1].values())[-3:] == [
        "RigL, 50.00 % left",
        "RigL, 25.00 % left",
        "RigL, 12.50 % left",
    ]
    joined = pairing.curves(frame)
    curve = joined[joined["control"] == "rigl"]
    assert set(curve["digest"]) == {"ffffffff"} and curve["run"].nunique() == 6 and len(curve) == 18
    assert dict(curve.groupby("round")["density"].first()) == {1: 0.5, 2: 0.25, 3: 0.125}
    # One density alone stays a point, with the dense round of its own.
    pandas.testing.assert_frame_equal(joined[joined["control"] != "rigl"], frame[frame["control"] != "rigl"])
    (legend,) = plots.figure(frame, "").legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert "RigL: mean of 6 runs, 95 % band" in texts and sum(text.startswith("RigL") for text in texts) == 1


def test_soups_of_all_pairs_are_one_recipe_called_a_soup():
    frame = costly().assign(soup_members=pandas.NA)
    soups = frame[frame["digest"] == "gggggggg"].assign(
        control="none", soup_members=3, digest=[f"soup{seed}" for seed in range(6)], recipe="same"
    )
    frame = pairing.pooled(pandas.concat([frame, soups], ignore_index=True))
    assert plots.labels(frame)[1]["soup0"] == "soup of 3"
    assert rivals.compared(frame).set_index("rival").loc["soup0", "n"] == 6


def test_a_rival_is_called_by_its_criterion_and_what_is_ranked_together():
    frame = recipes().assign(scope="global")
    for digest, criterion, scope in [("eeeeeeee", "random", "erk"), ("bbbbbbbb", "taylor", "layer")]:
        frame.loc[frame["digest"] == digest, ["criterion", "scope"]] = [criterion, scope]
    names = list(rivals.compared(frame)["name"])
    assert names[0] == "random pruning by taylor (layer)" and names[-1] == "random (erk) at initialisation"
