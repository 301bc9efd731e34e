"""A sheet of what every augmentation does."""

from tf_tickets.analysis.analysis import Analysis
from tf_tickets.registry import ANALYSES
from tf_tickets.settings.config import Config


@ANALYSES.register("augment")
class Augmentations(Analysis):
    """Images of the data set under every augmentation."""

    order = 8
    text = "a sheet of every operation and preset"

    def sheet(self, config: Config) -> str:
        """Draws it."""
        from tf_tickets.augment.contact_sheet import contact_sheet

        return contact_sheet(config)
