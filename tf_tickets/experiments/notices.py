"""What a run tells its user while it goes on."""

import sys


def say(message):
    """A notice to the user, beside the results."""
    print(f"tf-tickets: {message}", file=sys.stderr, flush=True)
