"""What a user may want to know before a run begins: of a recipe for few images, of an earlier run of the same pictures.

No TensorFlow, and of other runs nothing but their manifests is read.
"""

import glob
import os

from tf_tickets import runs, storage
from tf_tickets.errors import StateError, UsageError
from tf_tickets.experiments.plan import Plan
from tf_tickets.registry import CONTROLS, DATASETS
from tf_tickets.settings import places
from tf_tickets.settings.config import Config

# Below these many images a class many steps of small batches are worth most (results/dense_curve).
FEW_IMAGES, MANY_STEPS, SMALL_BATCH = 100, 10_000, 10
# Pixels; smaller images are no photographs.
SMALLEST_SIDE = 16
RECIPE, PRETRAINED = "flags/few.cfg", "flags/my_images_pretrained.cfg"


def few_images(plan: Plan) -> str | None:
    """A line that names the recipe for few images, where a plan has few, and trains few steps of large batches."""
    per_class, batch = plan.train_images / plan.data_set.classes, plan.config.data.batch_size
    from_backbone = plan.config.network.pretrained is not None or plan.control.fits
    # Those recipes are of photographs, and digits of 8 x 8 pixels are there to see a search within a minute.
    if (
        max(plan.data_set.image_shape[:2]) < SMALLEST_SIDE
        or from_backbone
        or per_class >= FEW_IMAGES
        or plan.last_step >= MANY_STEPS
        or batch <= SMALL_BATCH
    ):
        return None
    return (
        f"few images  {per_class:.0f} per class (below {FEW_IMAGES}), and a round has {plan.last_step:,} steps (below "
        f"{MANY_STEPS:,}) of {batch} images (above {SMALL_BATCH}): {RECIPE} has a recipe for that, and "
        f"{PRETRAINED} for a network that has seen other data"
    )


def _is_fitted(run):
    """Whether nothing was trained in a run: a probe, beside which others are wanted."""
    try:
        return CONTROLS[Config.from_flagfile(os.path.join(run, "config.cfg")).pruning.control].fits
    except UsageError:
        return False


def same_pictures(plan: Plan, folder: runs.RunFolder) -> str | None:
    """A line that names a run of the same pictures of the user's own under other settings, before one is begun.

    Args:
      plan: of the run that is asked for.
      folder: of that run; where it is there, or another of its settings, there is nothing to say.
    """
    pictures = DATASETS[plan.data_set.name].pictures(plan.config.data.place)
    above = os.path.dirname(folder.folder)
    if pictures is None or plan.config.pruning.ticket or plan.control.fits or os.path.isdir(above):
        return None
    manifests = glob.glob(os.path.join(glob.escape(plan.config.run.out), "*", "seed_*", "manifest.json"))
    for path in sorted(manifests, key=os.path.getmtime, reverse=True):
        try:
            digest = storage.read_sealed(path).get("pictures")
        except StateError:
            continue  # another program's file, or a damaged run: its own command says so
        run = os.path.dirname(path)
        if digest == pictures.digest and not _is_fitted(run):
            again = f"--flagfile={run}/config.cfg{_place_again(run, plan)}"
            return f"{run} is a run of the same pictures under other settings; to go on with that one: {again}"
    return None


def _place_again(run, plan):
    """What its flagfile does not say of a run whose pictures were given from Python: where they are."""
    flags = DATASETS[plan.data_set.name].place_flags
    try:
        before = Config.from_flagfile(os.path.join(run, "config.cfg")).data.place
    except UsageError:  # its own command says what is wrong with it
        return ""
    if not any(places.is_name(getattr(before, flag)) for flag in flags):
        return ""
    place = plan.config.data.place
    return (" " + place.shown(flags)).replace(" data=", " with data= in Python")
