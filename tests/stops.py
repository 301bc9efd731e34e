"""Stopping a command again and again, and comparing its files with those of an untouched run."""

import trees

from tf_tickets import errors


class StopAfter:
    """Says stop after some blocks of steps."""

    def __init__(self, blocks):
        self.left = blocks

    def __call__(self):
        self.left -= 1
        return self.left < 0


def assert_stopping_changes_nothing(command, config, out, after=(0, 1, 2, 3, 40)):
    """Runs `command` untouched in the config's folder, and, below `out`, stopped `after` so many blocks of steps each.

    Returns how often it was stopped.
    """
    whole = trees.contents(command(config).folder)
    parts, attempts = config.replace(out=str(out)), 0
    for blocks in after:
        try:
            folder = command(parts, StopAfter(blocks)).folder
            break
        except errors.StopRequested:
            attempts += 1
    trees.assert_equal(trees.contents(folder), whole)
    return attempts
