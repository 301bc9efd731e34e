"""The settings, each said once: name, type, default, choices and help of a field of a frozen dataclass."""

import dataclasses

from tf_tickets.errors import UsageError
from tf_tickets.plugins import check_names
from tf_tickets.registry import CONTROLS, CRITERIA, NETWORKS
from tf_tickets.settings import checks
from tf_tickets.settings.options import option

# The value of `--pretrained` that stands for the weights that are published for a network.
IMAGENET = "imagenet"

# The rounds that are trained in full where others are shortened.
FULL_ROUNDS = "0,last"


def _controls():
    """Each control with the command that it belongs to."""
    texts = {"none": "no control: the search by imp, a network trained by train"}
    for name, control in CONTROLS.items():
        if control.what:
            texts[name] = f"{control.place or 'imp and train'}: {control.what}"
    return texts


def _criteria():
    """What `--criterion` means, and which of them belong to one control."""
    drawn = [name for name, criterion in CRITERIA.items() if getattr(criterion, "iterations_at_initialisation", 0)]
    return (
        "score by which weights are ranked; with train --control=one_shot also scores of the initial weights: "
        f"{', '.join(drawn)}"
    )


def _widths():
    """What `--width` means, and what it is for each network where it is unset."""
    widths = {name: entry.default_width for name, entry in NETWORKS.items()}
    usual = next(iter(widths.values()))
    unusual = [f"{name} {width}" for name, width in widths.items() if width != usual]
    unset = ", ".join([str(usual), *unusual])
    return f"channels of the first stage, for vit_small size of the embedding; unset: {unset}"


@dataclasses.dataclass(frozen=True)
class Network:
    """Which network."""

    model: str = option(
        "resnet18", "network; keras:NAME: a network of tf_keras.applications, such as keras:MobileNetV2; "
        "PACKAGE.MODULE:FUNCTION: your own function, which returns a functional Keras model whose output is logits",
        choices=NETWORKS,
    )  # fmt: skip
    width: int | None = option(None, _widths, low=1, high=4096)
    stem: str = option(
        "auto", "small: one 3x3 convolution; full: 7x7 and max-pooling, for vit_small: images below 128 pixels resized "
        "to 224; auto: as the data set needs, and full for a pretrained vit_small", choices=("auto", "small", "full"),
    )  # fmt: skip
    head: str = option("linear", "how features become logits", choices=("linear", "cosine", "tvmf"))
    kappa: float = option(16.0, "concentration of head=tvmf", above=0.0)
    pretrained: str | None = option(
        None, "backbone to start from: .safetensors, .npz, .h5 or PyTorch's .pth; imagenet: the weights that are "
        "published for --model",
    )  # fmt: skip
    image_size: int | None = option(
        None, "shorter side, in pixels, of the network's input: images of one size are augmented at that size and "
        "enlarged inside the network, others are cropped to this size; unset: the network's own size if it has one, "
        "else the size of the images", low=8, high=2048,
    )  # fmt: skip

    @property
    def file_name(self) -> str:
        """The model's name as a part of file names."""
        return self.model.replace(":", "-")

    @property
    def backbone(self) -> str | None:
        """The path of the file of `pretrained`; UsageError where no weights are published, or they are not here."""
        if self.pretrained != IMAGENET:
            return self.pretrained
        published = NETWORKS[self.model].imagenet
        if published is None:
            names = [*(name for name, entry in NETWORKS.items() if entry.imagenet), "keras:NAME"]
            raise UsageError(
                f"--pretrained={IMAGENET}: no weights are published for --model={self.model}; they are for "
                f"{', '.join(names)}; or give a file"
            )
        return published.find()


@dataclasses.dataclass(frozen=True)
class Training:
    """How each round is trained."""

    epochs: int = option(200, "epochs of a dense round", low=1)
    optimizer: str = option("sgd", "optimizer, with PyTorch's update rule", choices=("sgd", "adam"))
    learning_rate: float = option(0.1, "learning rate before the schedule", above=0.0)
    momentum: float = option(0.9, "momentum of sgd", low=0.0, high=0.999999)
    weight_decay: float = option(5e-4, "coupled weight decay on every trainable variable", low=0.0)
    schedule: str = option("cosine", "learning rate over the epochs", choices=("cosine", "steps", "constant"))
    milestones: str | None = option(
        None, "epochs at which schedule=steps divides by ten, such as 100,150", check=checks.check_milestones
    )
    warmup: int = option(0, "epochs of linear warm-up", low=0)
    head_epochs: int = option(
        0, "for a pretrained network or a ticket: how many of the first --epochs train only the head, at "
        "--learning_rate; the schedule covers the other epochs", low=0,
    )  # fmt: skip
    backbone_learning_rate: float | None = option(
        None, "learning rate before the schedule of all but the head; unset: learning_rate", above=0.0
    )
    loss: str = option(
        "cross_entropy",
        "cross_entropy; cross_entropy_cosine: a tenth of that plus 1 - cosine of logits and label; label_smoothing: "
        "0.1; logit_adjusted: for long tails, by the classes' frequencies; class_weighted: all classes weigh alike",
        choices=("cross_entropy", "cross_entropy_cosine", "label_smoothing", "logit_adjusted", "class_weighted"),
    )  # fmt: skip
    distillation: float = option(
        0.0, "share of the loss that follows another network's probabilities instead of the labels, such as 0.5: "
        "those of --teacher, or without one, in rounds after 0, those of the dense network of round 0",
        low=0.0, high=1.0,
    )  # fmt: skip
    distillation_temperature: float = option(
        4.0, "number by which logits are divided before they are compared", above=0.0, high=100.0
    )
    teacher: str | None = option(
        None, "with distillation: folder of the ticket, round, run or ensemble to learn from", digest=False
    )
    batch_norm: str = option(
        "per_replica", "statistics of batch normalisation: of each device's own images; synchronised: of the whole "
        "batch, over all devices; frozen: those of the pretrained network or ticket, unchanged",
        choices=("per_replica", "synchronised", "frozen"),
    )  # fmt: skip
    adversarial: bool = option(False, "AdvProp: also train on attacked images, with separate normalisation for them")
    attack_eps: float = option(8 / 255, "largest change of a pixel by an attack; pixels lie in [0, 1]", above=0, high=1)
    attack_step: float = option(2 / 255, "change of a pixel in one step of an attack", above=0, high=1)
    attack_steps: int = option(1, "steps of an attack; of evaluate's pgd 1 means 10", low=1)
    temperature: float = option(0.5, "with pretrain: temperature of the contrastive loss", above=0.0)


@dataclasses.dataclass(frozen=True)
class Pruning:
    """What is removed after each round, and where the next round starts."""

    rounds: int = option(16, "rounds, the dense round 0 included", low=1, high=1000, digest=False)
    rate: float = option(0.2, "share of the remaining weights removed after each round", above=0.0, high=0.999)
    rewind: str = option(
        "epoch:2",
        "where later rounds start: init, epoch:K, step:N, learning_rate[:K], finetune[:K], reconstructed[:K], trained, "
        "pretrained",
        check=checks.check_rewind,
    )  # fmt: skip
    criterion: str = option("magnitude", _criteria, choices=CRITERIA)
    scope: str = option(
        "global", "global: rank all weights together; layer: inside each layer; erk: inside each layer, where narrow "
        "layers keep more, by Erdos-Renyi-kernel densities", choices=("global", "layer", "erk"),
    )  # fmt: skip
    prunable: str = option(
        "all",
        "which weights are ranked; feed_forward: only the feed-forward kernels of vit_small",
        choices=checks.prunable_parts,
    )
    min_per_layer: int = option(0, "weights that every layer keeps at least", low=0)
    control: str = option(
        "none", "a network to compare a ticket with, trained instead of the search; --help=control explains each, and "
        "says whether it is for imp, for train, or for train --ticket=DIR", choices=CONTROLS, explained=_controls,
    )  # fmt: skip
    update_every: int | None = option(
        None, "with --control=rigl or set: steps from one change of the mask to the next, 2 or more; rigl changes the "
        "mask instead of a training step, set after one; the last change is before three quarters of the training; "
        "unset: 100, or a tenth of the steps up to three quarters if that is less", low=2,
    )  # fmt: skip
    update_fraction: float = option(
        0.3, "with --control=rigl or set: share of each layer's weights that the first changes remove and add "
        "elsewhere; it falls along a cosine to zero at three quarters of the training", above=0.0, high=1.0,
    )  # fmt: skip
    ticket: str | None = option(None, "with train: a ticket or round folder to retrain")
    soup_members: int | None = option(
        None, "with train --ticket: number of trainings, each with another order of the images, whose weights are "
        "averaged (a sparse soup); unset: one training, nothing averaged", low=2, high=100,
    )  # fmt: skip
    finetune_learning_rate: float | None = option(
        None, "constant learning rate of rewind=finetune; unset: learning_rate/100", above=0.0
    )
    search_epochs: int | None = option(
        None, "with imp: epochs of the rounds that only serve to find the next mask; the schedule is scaled to them; "
        "0, with --rewind=reconstructed: they are not trained; unset: --epochs", low=0,
    )  # fmt: skip
    mask_distance: float | None = option(
        None, "with imp: end such a round once the set of weights to remove changes by at most this share from one "
        "epoch to the next; unset: never", above=0.0, high=1.0,
    )  # fmt: skip
    mask_patience: int = option(3, "number of successive epochs whose changes have to be within --mask_distance", low=1)
    full_rounds: str | None = option(
        None, "with --search_epochs or --mask_distance: the rounds that are still trained in full, such as 0,5,last; "
        f"unset: {FULL_ROUNDS}, the dense network and its ticket", check=checks.check_full_rounds,
    )  # fmt: skip

    @property
    def searches(self) -> bool:
        """Whether some rounds only serve the next mask."""
        return self.search_epochs is not None or self.mask_distance is not None

    @property
    def in_full(self) -> frozenset[int]:
        """The rounds that are trained in full."""
        if not self.searches:
            return frozenset(range(self.rounds))
        listed = (self.full_rounds or FULL_ROUNDS).split(",")
        return frozenset(self.rounds - 1 if part == "last" else int(part) for part in listed)


# What makes every round a full one, whatever a search shortens.
IN_FULL = {name: getattr(Pruning, name) for name in ("search_epochs", "mask_distance", "mask_patience", "full_rounds")}


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which network becomes the ticket, and how its probabilities are calibrated."""

    choose: str | None = option(
        None, "validation, last, or a round; unset: validation if images are held out, else last; with --rival and "
        "shortened rounds also last",
        check=checks.check_choose, digest=False,
    )  # fmt: skip
    refit: bool = option(
        False, "once the round is chosen, run the rounds up to it again on all images of the subset, those held out by "
        "--validation included; the last of them becomes the ticket; with train: train on all those images",
        digest=False,
    )  # fmt: skip
    calibration: str = option(
        "none", "how to fit the temperature of the ticket's probabilities, on images not trained on; validation: on "
        "the held-out images, with the chosen round before any --refit; folds:K: by K more trainings of its round, "
        "each without one of K parts of its images; none: no fit; a temperature fitted before is kept",
        check=checks.check_calibration, digest=False,
    )  # fmt: skip
    rival: str = option(
        "none", "with imp, also for a finished search: long_dense trains a dense network with as many images as all "
        "rounds together, and says which to use; if --validation holds images out and --choose is unset, that "
        "network becomes the ticket", choices=("none", "long_dense"), digest=False,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Run:
    """Seeds, folders and devices."""

    accounting: str = option(
        "exact", "release: as the paper's release counts, for comparison: rewound weights one epoch older than their "
        "schedule, every round of full length, the best epoch on test shown", choices=("exact", "release"),
    )  # fmt: skip
    seed: int = option(0, "initial weights and random masks", low=0, digest=False)
    order_seed: int | None = option(None, "order of the images and augmentation; unset: seed", low=0, digest=False)
    out: str = option(
        "runs", "folder of all runs; with export, report, ensemble and the sheets of analyze: the folder to write "
        "into; unset, export writes beside the ticket, and report into its first path", check=checks.check_folder,
        digest=False,
    )  # fmt: skip
    deterministic: bool = option(True, "same seeds on the same machine give the same bits")
    precision: str = option(
        "float32", "arithmetic of the network", choices=("float32", "mixed_bfloat16", "mixed_float16")
    )
    strategy: str = option(
        "auto", "auto, one_device, mirrored (all GPUs), cpu:N logical devices, or multi_worker: imp and train over the "
        "machines of TF_CONFIG", check=checks.check_strategy, digest=False,
    )  # fmt: skip
    jit: bool = option(False, "compile the training step with XLA (one device only)")
    eval_every: int | None = option(
        None, "evaluate every N epochs and after the last; unset: the middle and the last epoch", low=1, digest=False
    )
    tensorboard: bool = option(True, "write TensorBoard scalars and hyper-parameters", digest=False)
    profile_steps: str | None = option(
        None,
        "FIRST:LAST, steps of this process's first round to profile",
        check=checks.check_profile_steps,
        digest=False,
    )
    progress: str = option(
        "auto", "line: one live line; log: plain lines; auto: line on a terminal and in a notebook",
        choices=("auto", "line", "log", "none"), digest=False,
    )  # fmt: skip
    allow_other_environment: bool = option(
        False, "continue a run with other versions, threads, oneDNN setting, processor or devices than it was begun "
        "with; its results then have other bits, and manifest.json says so", digest=False,
    )  # fmt: skip
    plugins: str | None = option(
        None, "a list of your own Python modules, imported first; the criteria, controls, networks, data sets and so "
        "on that they register become values of the other flags (docs/extending.md)", check=check_names,
    )  # fmt: skip
    dry_run: bool = option(False, "print the resolved plan and touch nothing", digest=False)
