"""Which round becomes the ticket, as `--choose` says, without training any."""

import pytest

from tf_tickets import Config
from tf_tickets.experiments.choosing import choose_round, latest_choice

SUMMARIES = [{"validation_accuracy": value} for value in (0.5, 0.75, 0.75, 0.25)]


@pytest.mark.parametrize(
    "settings, chosen, latest",
    [
        ({"rounds": 4}, 3, 3),
        ({"rounds": 4, "choose": "last", "validation": 0.2}, 3, 3),
        ({"rounds": 4, "choose": "1"}, 1, 1),
        ({"rounds": 4, "validation": 0.2}, 2, 3),  # the sparser of equal ones; before, any may be it
    ],
)
def test_the_chosen_round(settings, chosen, latest):
    config = Config.from_values(dataset="digits", **settings)
    assert (choose_round(config, SUMMARIES), latest_choice(config)) == (chosen, latest)
