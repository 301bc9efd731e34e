"""Several tickets as one: the mean of their probabilities, in every format; what does not go together is refused."""

import dataclasses
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from conftest import QUICK
from scipy import special
from torture import resealed

import tf_tickets as tt
from tf_tickets import confidence, errors, runs, runtime, storage
from tf_tickets.analysis.analyze import analyze
from tf_tickets.backend import tf
from tf_tickets.data import sources
from tf_tickets.errors import StateError, UsageError
from tf_tickets.evaluation.evaluate import evaluate
from tf_tickets.export import after_export, card, combine, formats, joint_ticket, measuring, origin, tflite, verify
from tf_tickets.models import architecture, costs
from tf_tickets.report import command

IMAGES = sources.load("digits").test(slice(0, 20))[0]
CALIBRATION = {"temperature": 2.5, "method": "validation", "images": 14, "loss": 1.0, "loss_before": 1.5}


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Three ticket folders: two rounds of a search, the second with a temperature, and a ResNet on other images."""
    out = tmp_path_factory.mktemp("runs")
    values = QUICK | {"tensorboard": False, "rounds": 2, "epochs": 3, "choose": "last", "validation": None}
    search = runs.RunFolder(tt.imp(tt.Config.from_values(**values, out=str(out))).folder)
    other = values | {"model": "resnet18", "subset_seed": 5, "seed": 1, "rounds": 1}
    second = runs.RunFolder(tt.imp(tt.Config.from_values(**other, out=str(out))).folder)
    sure = dataclasses.replace(tt.Ticket.load(search.ticket), calibration=CALIBRATION)
    return search.round(0).folder, sure.save(str(out / "sure")), second.ticket


@pytest.fixture(scope="module")
def joined(members, tmp_path_factory):
    """(folder, text): the ensemble of them, and what was printed."""
    folder = str(tmp_path_factory.mktemp("joined") / "all")
    return folder, combine.combine(members, folder)


def mean_of(members, images=IMAGES):
    return np.mean([tt.Ticket.load(member).predict(images) for member in members], axis=0)


def test_the_lines_after_it_name_what_takes_it(joined, monkeypatch):
    monkeypatch.chdir(os.path.dirname(joined[0]))
    assert after_export.of_ensemble(joined[0]) == [
        "next: python -m tf_tickets.main evaluate all",
        "      python -m tf_tickets.main predict all PICTURE.png",
        "      python -m tf_tickets.main export all",
    ]


def test_its_probabilities_are_the_mean_and_its_logits_their_logarithm(members, joined):
    ticket, wanted = tt.Ticket.load(joined[0]), mean_of(members)
    assert isinstance(ticket, joint_ticket.Ensemble) and [m.temperature for m in ticket.members] == [1.0, 2.5, 1.0]
    np.testing.assert_allclose(ticket.predict(IMAGES), wanted, atol=1e-6)
    serve = tf.saved_model.load(joined[0]).signatures
    answer = {name: part.numpy() for name, part in serve["serving_default"](images=tf.constant(IMAGES)).items()}
    np.testing.assert_allclose(answer["probabilities"], wanted, atol=1e-6)
    np.testing.assert_allclose(answer["logits"], np.log(wanted), atol=1e-4)
    assert list(answer["class"]) == list(wanted.argmax(axis=1))
    features = serve["features"](images=tf.constant(IMAGES))["features"]
    parts = [tf.saved_model.load(m).signatures["features"] for m in members[1:]]
    widths = [part(images=tf.constant(IMAGES))["features"].shape[1] for part in parts]
    assert features.shape[1] == widths[0] + sum(widths)


def test_every_format_says_the_same(members, joined, tmp_path):
    wanted = mean_of(members)
    text = formats.export(joined[0], ["ticket", "runtime", "tflite"], tt.Config.from_values(), str(tmp_path))
    assert "runtime.npz" in text and verify.verify(str(tmp_path / "ticket"))
    for path in (joined[0], str(tmp_path / "runtime.npz"), str(tmp_path / "ticket")):
        for compiled in (False, True):
            network = runtime.load(path, compiled=compiled)
            np.testing.assert_allclose(network.predict(IMAGES), wanted, atol=1e-5)
            np.testing.assert_allclose(special.softmax(network.logits(IMAGES), axis=1), wanted, atol=1e-5)
            assert isinstance(network, runtime.Ensemble) and network.predict(IMAGES[:0]).shape == (0, 10)
    network.use("dense")
    assert set(network.method().values()) == {"dense"} and any(n.startswith("member_02/") for n in network.method())
    np.testing.assert_allclose(
        tflite.predictor((tmp_path / "ticket.tflite").read_bytes(), 1)(IMAGES), wanted, atol=1e-5
    )


def test_what_it_costs_is_printed(members, joined):
    left, dense = [], []
    for path in members:
        ticket = tt.Ticket.load(path)
        facts = dict(ticket.network)
        kernels = architecture.describe(facts.pop("name"), **facts).kernels()
        counts = costs.of_network(ticket.model, kernels, ticket.masks)
        left, dense = [*left, counts[0]], [*dense, counts[1]]
    assert left[1] < dense[1] and left[0] == dense[0] == dense[1]
    of = f"multiply-adds of an image: {sum(left):,} of all members, {max(dense):,} of one dense resnet18 of width 2"
    assert of in joined[1] and f"bytes: {measuring.sizes(joined[0])[0]:,}" in joined[1]


def test_it_is_a_ticket_in_words(members, joined):
    ticket = tt.Ticket.load(joined[0])
    assert repr(ticket) == (f"<Ensemble of 3 tickets: resnet18 of width 2 and vgg11 of width 2 on digits, {joined[0]}>")
    union = set().union(*(tt.Ticket.load(member).ids for member in members))
    assert set(ticket.ids) == union and 70 < len(union)
    text = card.text(ticket, {}, None)
    assert text == (pathlib.Path(joined[0]) / "MODEL_CARD.md").read_text()
    assert "# Ensemble of 3 tickets on digits" in text and f"on {len(union)} images together" in text
    assert "| 1 | vgg11 of width 2 |" in text and "| 2.5 |" in text and "train --ticket" not in text
    assert "an ensemble of 3 tickets" in verify.verify(joined[0])
    assert ticket.content_digest == combine_again(members).content_digest


def combine_again(members):
    return joint_ticket.of({member: tt.Ticket.load(member) for member in members})


def test_evaluate_measures_it_and_others_in_its_place_anew(members, joined, tmp_path):
    folder, config = str(tmp_path / "all"), tt.Config.from_values(dataset="digits")
    shutil.copytree(joined[0], folder)
    rows = evaluate([folder], config)
    images, labels = sources.load("digits").test()
    mean = mean_of(members, images)
    by = {row["metric"]: float(row["value"]) for row in rows}
    assert by["accuracy"] == pytest.approx((mean.argmax(axis=1) == labels).mean(), abs=0.003)
    wanted = confidence.expected_calibration_error(mean.max(axis=1), mean.argmax(axis=1) == labels)
    assert by["calibration_error"] == pytest.approx(wanted, abs=0.002)
    assert rows[0]["round"] == f"ensemble_{tt.Ticket.load(folder).content_digest[:8]}"
    combine.combine(members[1:], folder)
    assert evaluate([folder], config)[0]["round"] != rows[0]["round"]


def test_a_report_of_runs_takes_a_folder_of_ensembles_too(members, joined, tmp_path):
    run, folder = os.path.dirname(members[0]), tmp_path / "ensembles"
    shutil.copytree(joined[0], folder / "all")
    text, problems = command.report([run, str(folder)], str(tmp_path / "report"))
    assert not problems and "ensembles/all" in text
    (row,) = storage.read_csv(str(tmp_path / "report" / "ensembles.csv"))
    assert (row["ensemble"], row["members"]) == ("ensembles/all", "3")
    with pytest.raises(UsageError, match="ensembles holds no run"):
        command.report([str(folder)], str(tmp_path / "alone"))


def test_masks_are_asked_of_members_alone(joined, tmp_path):
    ticket = tt.Ticket.load(joined[0])
    for name in ("masks", "trained", "rewound", "network", "round"):
        with pytest.raises(UsageError, match=f"has no {name} of its own: give one of its members' folders"):
            getattr(ticket, name)
    with pytest.raises(UsageError, match="is an ensemble, of no mask"):
        tt.train(tt.Config.from_values(**QUICK | {"out": str(tmp_path / "runs"), "ticket": joined[0], "rounds": 1}))
    with pytest.raises(UsageError, match="is an ensemble: analyze looks into one network"):
        analyze([joined[0]], tt.Config.from_values(what="density"))
    assert not (tmp_path / "runs").exists()


def test_test_pictures_that_a_member_was_trained_on_are_refused(members, monkeypatch):
    tickets = [tt.Ticket.load(member) for member in members]
    own = [dataclasses.replace(ticket, pictures="a" * 64) for ticket in tickets]
    assert joint_ticket.Ensemble(own).pictures == "a" * 64
    mixed = joint_ticket.Ensemble([own[0], dataclasses.replace(tickets[1], pictures="b" * 64)])
    tested = next(name for name in tickets[2].ids if name not in tickets[0].ids)

    class Picture:
        id, part = tested, "test"

    class Pictures:
        digest, pictures = "a" * 64, [Picture]

    origin._check_of_ticket(joint_ticket.Ensemble(own), Pictures, "--data_dir=X")
    with pytest.raises(UsageError, match="does not hold the pictures of the ticket as they were"):
        origin._check_of_ticket(mixed, Pictures, "--data_dir=X")
    with pytest.raises(UsageError, match="would test the ticket"):
        origin._check_of_ticket(joint_ticket.Ensemble(tickets), Pictures, "--data_dir=X")


def test_what_does_not_go_together_is_refused_in_one_line(members, joined, tmp_path, monkeypatch):
    out = str(tmp_path / "out")
    ticket = tt.Ticket.load(members[0])
    other = dataclasses.replace(ticket, data=ticket.data | {"mean": [0.25]})
    labels = dataclasses.replace(ticket, data=ticket.data | {"labels": [*ticket.data["labels"][:-1], "x"]})
    again = str(tmp_path / "again")
    shutil.copytree(members[1], again)
    cases = [
        (lambda: joint_ticket.of({"A": ticket, "B": other}), r"A and B differ in mean, \[.*\] and \[0\.25\]"),
        (lambda: joint_ticket.of({"A": ticket, "B": labels}), "A and B differ in labels"),
        (lambda: joint_ticket.of({"A": ticket}), "2 to 100 tickets, and 1 were given"),
        (lambda: joint_ticket.of({str(i): ticket for i in range(1000)}), "2 to 100 tickets, and 1,000 were given"),
        (lambda: combine.combine([members[0], joined[0]], out), "is an ensemble itself"),
        (lambda: combine.combine([members[0], members[0]], out), "is given twice"),
        (lambda: combine.combine([members[1], again], out), "are the same ticket"),
        (lambda: combine.combine(members[:2], members[1]), "is a member, or lies in a run"),
        (lambda: combine.combine(members[:2], again), "holds a ticket that is no ensemble"),
        (lambda: combine.combine(members[:2], f"{members[0]}/x"), "lies in"),
        (lambda: combine.combine([members[0], str(tmp_path)], out), "is no run, round or ticket folder"),
    ]
    for call, message in cases:
        with pytest.raises(UsageError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value) and errors.UsageError.exit_status == 2
    assert not pathlib.Path(out).exists()


CHANGES = {
    "no members": lambda d: d.update(members=[]),
    "a member missing": lambda d: d.update(members=d["members"][:2]),
    "one of three": lambda d: d.update(members=d["members"][:1]),
    "a thousand": lambda d: d.update(members=d["members"] * 334),
    "nested": lambda d: d["members"][0].update(members=d["members"][1:]),
    "a member of no kind": lambda d: d["members"].__setitem__(1, 7),
    "an empty member": lambda d: d["members"].__setitem__(1, {}),
    "another order": lambda d: d.update(members=d["members"][::-1]),
    "hot": lambda d: d["members"][1]["calibration"].update(temperature=1e300),
    "no number": lambda d: d["members"][1].update(calibration="2"),
    "another density": lambda d: d.update(density=0.5),
    "density of no kind": lambda d: d.update(density="1"),
    "no ids": lambda d: d.pop("ids_digest"),
    "a later format": lambda d: d.update(format=4),
    "an earlier format": lambda d: d.update(format=2),
    "other data of a member": lambda d: d["members"][0].update(data={}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_made_up_is_refused_in_one_line(joined, tmp_path, name):
    folder = pathlib.Path(joined[0])
    document = json.loads((folder / "ticket.json").read_text())
    CHANGES[name](document)
    place = tmp_path / "ticket"
    shutil.copytree(folder, place)
    (place / "ticket.json").write_bytes(storage.json_bytes(resealed.sealed(document)))
    with pytest.raises(StateError) as caught:
        verify.verify(str(place))
    assert "\n" not in str(caught.value)
    try:
        runtime.load(str(place)).predict(IMAGES)
    except runtime.Damaged as error:
        assert "\n" not in str(error)
