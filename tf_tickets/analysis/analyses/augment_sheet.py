"""A sheet of what every augmentation does."""

from tf_tickets.analysis.analysis import Analysis
from tf_tickets.registry import ANALYSES


@ANALYSES.register("augment")
class Augmentations(Analysis):
    """Images of the data set under every augmentation."""

    order = 8
    text = "a sheet of every operation and preset"

    def sheet(self, config) -> str:
        """Draws it."""
        from tf_tickets.augment.contact_sheet import contact_sheet

        return contact_sheet(config)
