"""What a run tells its user while it goes on."""

from tf_tickets import streams


def say(message: str) -> None:
    """A notice to the user, beside the results."""
    streams.say(f"tf-tickets: {message}")
