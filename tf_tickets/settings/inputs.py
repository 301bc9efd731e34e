"""What single commands take beside the settings of a run, declared as in groups.py."""

import dataclasses

from tf_tickets.registry import ANALYSES, EVALUATORS
from tf_tickets.settings import checks
from tf_tickets.settings.options import option


def _analyses():
    """The analyses, as `--help` lists them."""
    alone = " or ".join(f"{name} ({ANALYSES[name].text})" for name in checks.sheets())
    return f"with analyze: a list of {', '.join(checks.studies())}; or one sheet by itself: {alone}"


@dataclasses.dataclass(frozen=True)
class Command:
    """Flags of single commands."""

    archive: str | None = option(None, "with prepare: the archive to read", digest=False)
    what: str | None = option(None, _analyses, check=checks.check_what, digest=False)
    probe: str | None = option(
        None, "with analyze --what=probe: a list of data sets that the classifier is trained and tested on; unset: the "
        "run's own, its full training set", check=checks.check_probe, digest=False,
    )  # fmt: skip
    probe_images: int = option(
        10000, "with analyze --what=probe: training images of the classifier, stratified, a fifth of them held out to "
        "choose its penalty; of a smaller data set all are used", low=10, digest=False,
    )  # fmt: skip
    evaluators: str = option(
        "clean",
        lambda: f"with evaluate: a list of {', '.join(EVALUATORS)}",
        check=checks.check_evaluators,
        digest=False,
    )
    format: str | None = option(
        None, f"with export: a list of {', '.join(checks.EXPORTS)}, unset: all of them; with predict: table, json or "
        "csv, unset: table", check=checks.check_format, digest=False,
    )  # fmt: skip
    top_k: int = option(1, "with predict: how many labels of each image", low=1, digest=False)
    latex: bool = option(False, "with report: every table also as LaTeX, beside its CSV", digest=False)
    pdf: bool = option(False, "with report: every figure also as PDF", digest=False)
    sweep: str | None = option(
        None, "with sweep and tune: the grid, such as 'fraction=0.01,0.02;augment=base,rand;seed+subset_seed=0..4', or "
        "a file with one field a line; for sweep, command=imp,train chooses the command", digest=False,
    )  # fmt: skip
    rule: str | None = option(
        None, "with tune: how a point of the grid is chosen; folds:K: by accuracy on K held-out parts of the "
        "training images, the simplest point within one standard error of the best; weight_norm: nothing is held out, "
        "the point with the smallest norm of the weights among those that fit their training images",
        check=checks.check_rule, digest=False,
    )  # fmt: skip
    workers: int | None = option(
        None, "with sweep and tune: runs at a time; unset: one per GPU, or without GPUs one per two cores", low=1,
        high=1024, digest=False,
    )  # fmt: skip
    engine: str = option(
        "process", "with sweep and tune: where the runs are made; process: this machine; ray: a Ray cluster; slurm: "
        "prints a job array for sbatch", choices=("process", "ray", "slurm"), digest=False,
    )  # fmt: skip
    address: str | None = option(
        None, "with --engine=ray: HOST:PORT of the cluster's head, or auto for the cluster of this machine; unset: a "
        "cluster is started on this machine only", check=checks.check_address, digest=False,
    )  # fmt: skip
    cpus_per_run: int | None = option(
        None, "with --engine=ray and slurm: cores of each run, which is also its number of threads; unset: 2", low=1,
        high=1024, digest=False,
    )  # fmt: skip
    gpus_per_run: float | None = option(
        None, "with --engine=ray and slurm: GPUs of each run; with ray also a part of one, such as 0.25 where four "
        "runs share a GPU; unset: with ray 1 where there are GPUs, else 0", check=checks.check_gpus, digest=False,
    )  # fmt: skip
    which: str = option(
        "dense_and_ticket", "with evaluate and analyze: which rounds of a run folder",
        choices=("all", "dense_and_ticket", "ticket"), digest=False,
    )  # fmt: skip
    test_images: int | None = option(
        None, "with evaluate: number of test images for corruptions and attacks, stratified, the same for every "
        "network; rows state it; unset: all", low=1, digest=False,
    )  # fmt: skip
    restarts: int = option(
        1, "with evaluate: random starts of pgd, of which the worst counts; 0: one start at the image", low=0,
        digest=False,
    )  # fmt: skip
