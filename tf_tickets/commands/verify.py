"""`verify`: tickets checked."""

import os
from collections.abc import Iterable

from tf_tickets.registry import COMMANDS
from tf_tickets.settings.cli import Request
from tf_tickets.settings.commands import Command, Paths
from tf_tickets.settings.config import Config


@COMMANDS.register("verify")
class Verify(Command):
    """Checks tickets."""

    order = 9
    summary = "TICKET...: check every hash, count and invariant of a ticket; say which ticket an exported file is from"
    examples = (
        "runs/NAME/seed_0/ticket",
        "runs/*/seed_*/ticket",
        "runs/NAME/seed_0/ticket.export/ticket.onnx",
    )
    paths = Paths(least=1, needs="a ticket folder, or a file of export")

    def heeds(self) -> Iterable[str]:
        """Those that it reads."""
        return ()

    def prints(self, config: Config) -> bool:
        """It leaves no files."""
        return True

    def run(self, request: Request) -> int:
        """Prints a line of each ticket."""
        from tf_tickets.export import exported_files
        from tf_tickets.export.verify import verify

        folders = [path for path in request.paths if not os.path.isfile(path)]
        for path in request.paths:
            print(exported_files.verify(path, folders) if os.path.isfile(path) else verify(path))
        return 0
