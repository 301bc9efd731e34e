"""Which round becomes the ticket, as `--choose` says."""

from tf_tickets.settings.config import Config


def choose_round(config: Config, summaries: list[dict]) -> int:
    """The round that becomes the ticket: the last, a fixed one, or the best on validation; never on test.

    Among equal validation accuracies the sparser round is taken.
    """
    if config.choose == "validation":
        return max(range(len(summaries)), key=lambda index: (summaries[index]["validation_accuracy"], index))
    return _fixed(config, len(summaries))


def latest_choice(config: Config) -> int:
    """The last of the rounds that may become the ticket, before any is trained."""
    return config.pruning.rounds - 1 if config.choose == "validation" else _fixed(config, config.pruning.rounds)


def _fixed(config, rounds):
    return rounds - 1 if config.choose == "last" else int(config.choose)
