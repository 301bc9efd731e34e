"""Settings that exclude each other, or need each other."""

import typing

from tf_tickets.errors import UsageError
from tf_tickets.registry import CONTROLS, DATASETS, NETWORKS, STARTS
from tf_tickets.settings.checks import rewind_parts
from tf_tickets.settings.data_group import Data
from tf_tickets.settings.groups import IMAGENET, Choice, Network, Pruning, Run, Training


class _Settings(typing.Protocol):
    """What of a Config is compared."""

    @property
    def data(self) -> Data: ...

    @property
    def network(self) -> Network: ...

    @property
    def training(self) -> Training: ...

    @property
    def pruning(self) -> Pruning: ...

    @property
    def choice(self) -> Choice: ...

    @property
    def run(self) -> Run: ...

    @property
    def choose(self) -> str: ...


def _search_rules(config):
    """(broken, message) of the settings that shorten rounds."""
    training, pruning, epochs = config.training, config.pruning, config.pruning.search_epochs
    kind, amount = rewind_parts(pruning.rewind)
    choose, full = config.choose, sorted(pruning.in_full)
    flag = "--search_epochs" if epochs is not None else "--mask_distance"
    return [
        (epochs is not None and epochs >= training.epochs,
         f"--search_epochs={epochs} must be below --epochs={training.epochs}"),
        (epochs == 0 and not STARTS[kind].reconstructs,
         f"--search_epochs=0 leaves rounds untrained, which --rewind=reconstructed allows, not {pruning.rewind}"),
        (epochs == 0 and 0 not in full,
         f"--full_rounds={pruning.full_rounds} leaves out the dense round: --search_epochs=0 needs it, add 0"),
        (epochs == 0 and pruning.mask_distance is not None,
         "--mask_distance ends a round, and --search_epochs=0 begins none: keep one"),
        (epochs and STARTS[kind].counts == "epochs" and amount >= epochs,
         f"--rewind={pruning.rewind} must lie before the last epoch of a short round: --search_epochs={epochs}; give "
         "more, or --rewind=init"),
        (not pruning.searches and pruning.full_rounds is not None,
         f"--full_rounds={pruning.full_rounds} needs --search_epochs or --mask_distance: without, all rounds are full"),
        (pruning.mask_distance is None and pruning.mask_patience != Pruning().mask_patience,
         f"--mask_patience={pruning.mask_patience} needs --mask_distance, such as --mask_distance=0.05"),
        (pruning.searches and full[-1] >= pruning.rounds,
         f"--full_rounds={pruning.full_rounds}: {full[-1]} is not a round of --rounds={pruning.rounds}"),
        (pruning.searches and choose == "validation",
         f"--choose=validation compares all rounds, which {flag} makes unlike: add --choose=last or a full round"),
        (pruning.searches and choose == "last" and pruning.rounds - 1 not in full,
         f"--full_rounds={pruning.full_rounds} leaves the last round short, which becomes the ticket: add last"),
        (pruning.searches and choose.isdigit() and int(choose) not in full,
         f"--choose={choose} is not trained in full: add it to --full_rounds"),
        (pruning.searches and config.run.accounting == "release",
         f"--accounting=release trains every round in full: {flag} conflicts"),
    ]  # fmt: skip


def _fine_tuning_rules(config):
    """(broken, message) of the settings that say how a pretrained network is trained."""
    training, pruning = config.training, config.pruning
    head, frozen, control = training.head_epochs, training.batch_norm == "frozen", CONTROLS[pruning.control]
    of_ticket = pruning.ticket is not None and control.rewinds and not control.other_network
    trained = config.network.pretrained is not None or NETWORKS[config.network.model].trained
    from_scratch = not trained and not of_ticket
    return [
        (head >= training.epochs, f"--head_epochs={head} must be below --epochs={training.epochs}"),
        (pruning.search_epochs and head >= pruning.search_epochs,
         f"--head_epochs={head} must be below --search_epochs={pruning.search_epochs}, the epochs of a short round"),
        (head and training.milestones is not None and int(training.milestones.split(",")[0]) < head,
         f"--milestones={training.milestones} counts from a round's beginning, and the schedule begins after "
         f"--head_epochs={head}"),
        (head and from_scratch,
         f"--head_epochs={head} needs a backbone that is trained: give --pretrained=FILE or train --ticket=DIR"),
        (frozen and from_scratch,
         "--batch_norm=frozen needs statistics that are there: give --pretrained=FILE or train --ticket=DIR"),
        (frozen and training.adversarial,
         "--batch_norm=frozen has no statistics of attacked images, which --adversarial is made of: use per_replica"),
    ]  # fmt: skip


def _distillation_rules(config):
    """(broken, message) of the settings that say what is learned from another network."""
    training, share, usual = config.training, config.training.distillation, Training()
    return [
        (not share and training.teacher is not None,
         f"--teacher={training.teacher} needs --distillation, such as --distillation=0.5"),
        (not share and training.distillation_temperature != usual.distillation_temperature,
         f"--distillation_temperature={training.distillation_temperature:g} needs --distillation, such as 0.5"),
        (share and training.adversarial,
         "--distillation has no answers for attacked images, which --adversarial is made of: keep one"),
        (share and config.run.strategy == "multi_worker",
         "--distillation reads the teacher on one machine: choose another --strategy than multi_worker"),
        (share and CONTROLS[config.pruning.control].fits,
         f"--distillation teaches a network that is trained, which --control={config.pruning.control} does not"),
    ]  # fmt: skip


def _dynamic_rules(pruning):
    """(broken, message) of the settings that say how a mask changes during a training."""
    needs = " or ".join(f"--control={name}" for name, control in CONTROLS.items() if control.dynamic)
    unused = [name for name in ("update_every", "update_fraction") if getattr(pruning, name) != getattr(Pruning, name)]
    return [
        (not CONTROLS[pruning.control].dynamic,
         f"--{name}={getattr(pruning, name):g} needs {needs}: no other control changes a mask both ways")
        for name in unused
    ]  # fmt: skip


def _soup_rules(config):
    """(broken, message) of the settings that average trainings of one ticket."""
    pruning, members = config.pruning, config.pruning.soup_members
    control = CONTROLS[pruning.control]
    return [
        (broken, f"--soup_members={members} {message}") for broken, message in (
            (pruning.ticket is None,
             "averages trainings of one mask from one rewind point: it needs train --ticket=DIR"),
            (not control.rewinds or control.other_network,
             f"averages trainings from one rewind point: --control={pruning.control} conflicts"),
            (config.training.adversarial,
             "has no statistics of attacked images, which --adversarial is made of: keep one"),
            (config.run.strategy == "multi_worker",
             "averages on one machine: choose another --strategy than multi_worker"),
        ) if members is not None
    ]  # fmt: skip


def _own_network_rules(network, entry):
    """(broken, message) of the settings that a network of the user's own says itself."""
    own = {
        "width": "its layers have their widths", "stem": "it begins as it is", "head": "its last layer is the head",
    }  # fmt: skip
    of_keras = network.pretrained is not None and network.pretrained.endswith((IMAGENET, ".h5"))
    return [
        (entry.own and of_keras,
         f"--pretrained={network.pretrained}: load such weights in the function that --model names, and they are its "
         "start"),
    ] + [
        (entry.own and getattr(network, name) != getattr(Network(), name),
         f"--{name}={getattr(network, name)} belongs to the networks that are here, and --model={network.model} is one "
         f"of your own: leave it out; {reason}")
        for name, reason in own.items()
    ]  # fmt: skip


def _models_with(part):
    return " or ".join(name for name, entry in NETWORKS.items() if part in entry.parts)


def check(config: _Settings) -> None:
    """Raises UsageError for the first pair of settings that exclude each other."""
    data, training, pruning, run = config.data, config.training, config.pruning, config.run
    sizes = [name for name in ("fraction", "per_class", "images", "subset_file") if getattr(data, name) is not None]
    kind, amount = rewind_parts(pruning.rewind)
    model, entry = config.network.model, NETWORKS[config.network.model]
    rules = [
        (len(sizes) > 1, f"{' and '.join('--' + s for s in sizes)} exclude each other: keep one"),
        (data.imbalance is not None and sizes,
         f"--imbalance and --{', '.join(sizes)} exclude each other: keep one"),
        (data.imbalance is None and data.imbalance_profile != Data().imbalance_profile,
         f"--imbalance_profile={data.imbalance_profile} needs --imbalance, such as --imbalance=0.01"),
        (data.subset_seed == "original" and data.validation and not data.validation.startswith(("fold:", "official")),
         "--subset_seed=original draws nothing: hold out with --validation=fold:I/K"),
        (training.schedule == "steps" and training.milestones is None,
         "--schedule=steps needs --milestones, such as --milestones=100,150"),
        (training.schedule != "steps" and training.milestones is not None,
         f"--milestones belongs to --schedule=steps, not {training.schedule}"),
        (training.warmup >= training.epochs,
         f"--warmup={training.warmup} must be below --epochs={training.epochs}"),
        (STARTS[kind].counts == "epochs" and amount >= training.epochs,
         f"--rewind={pruning.rewind} must lie before the last epoch: --epochs={training.epochs}; give more, or "
         "--rewind=init"),
        (pruning.finetune_learning_rate is not None and not STARTS[kind].constant_rate,
         f"--finetune_learning_rate belongs to --rewind=finetune, not {pruning.rewind}"),
        *_search_rules(config),
        (entry.own and pruning.control == "small_dense",
         f"--control=small_dense narrows a network, and --model={config.network.model} is one of your own: train a "
         "narrower one without --ticket"),
        *_own_network_rules(config.network, entry),
        *_fine_tuning_rules(config),
        *_distillation_rules(config),
        *_dynamic_rules(pruning),
        *_soup_rules(config),
        *CONTROLS[pruning.control].conflicts(config),
        (config.choice.rival != "none" and training.schedule == "steps",
         f"--rival={config.choice.rival} trains as long as all rounds, which --milestones would not follow: use "
         "--schedule=cosine or --rival=none"),
        (config.choice.choose == "validation" and data.validation is None,
         "--choose=validation needs --validation, such as --validation=0.2"),
        (config.choice.choose is not None and config.choice.choose.isdigit()
         and int(config.choice.choose) >= pruning.rounds,
         f"--choose={config.choice.choose} is not a round of --rounds={pruning.rounds}"),
        (run.jit and (run.strategy in ("mirrored", "multi_worker") or run.strategy.startswith("cpu:")),
         f"--jit works on one device only, not with --strategy={run.strategy}: XLA cannot compile the mirrored step"),
        (run.jit and run.precision == "mixed_float16",
         "--jit and --precision=mixed_float16 exclude each other: the loss scale changes outside the compiled step; "
         "use mixed_bfloat16"),
        (run.accounting == "release" and not (kind == "epoch" and run.eval_every == 1),
         "--accounting=release rewinds to an epoch and looks at every epoch: set --rewind=epoch:K and --eval_every=1"),
        (STARTS[kind].of_backbone and config.network.pretrained is None and not entry.trained,
         f"--rewind={pruning.rewind} needs --pretrained=FILE"),
        (config.network.head != "tvmf" and config.network.kappa != Network().kappa,
         f"--kappa belongs to --head=tvmf, not {config.network.head}"),
        (training.adversarial and DATASETS[data.dataset].dtype != "uint8",
         f"--adversarial attacks pixels of 8 bits, which --dataset={data.dataset} has not"),
        (data.validation == "official" and data.imbalance is not None,
         "--validation=official and --imbalance exclude each other: hold out with --validation=0.2"),
        (training.batch_norm != "per_replica" and not entry.normalises,
         f"--batch_norm belongs to networks with batch normalisation, which --model={model} has none of"),
        (training.adversarial and not entry.normalises,
         f"--adversarial needs batch normalisation, which --model={model} has none of"),
        (pruning.prunable not in entry.parts,
         f"--prunable={pruning.prunable} belongs to --model={_models_with(pruning.prunable)}, not {model}"),
        (training.optimizer == "adam" and training.momentum != Training().momentum,
         "--momentum belongs to --optimizer=sgd, not adam"),
    ]  # fmt: skip
    for broken, message in rules:
        if broken:
            raise UsageError(message)
