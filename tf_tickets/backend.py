"""The one place that imports TensorFlow, legacy Keras and tfmot, checks that they fit, and sets up the devices."""

import contextlib
import dataclasses
import functools
import operator
import os
import sys
import typing

import tf_tickets  # noqa: F401  the switch to legacy Keras stands in the package's __init__
from tf_tickets import streams
from tf_tickets.errors import UsageError, reason
from tf_tickets.settings.groups import Run

streams.record()
# Where NVIDIA's driver has a folder for each GPU.
_GPU_FOLDER = "/proc/driver/nvidia/gpus"


def _has_gpu():
    """Whether there is a GPU by its driver, and the environment does not hide it."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1")
    return not hidden and os.path.isdir(_GPU_FOLDER) and bool(os.listdir(_GPU_FOLDER))


# What TensorFlow says whenever it starts: how it was built and what the machine has, and without a GPU, as an error,
# that it finds none.
_SAID_AT_START = r"^WARNING: All log messages before absl::InitializeLog|^[IW][0-9]{4} " + (
    "" if _has_gpu() else r"|^E[0-9]{4} .*: CUDA error:"
)

with streams.without_lines(_SAID_AT_START):
    # TensorFlow's C++ logging reads this once, when it loads, and only after its first lines.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras as keras

    # The wrapper's class is not in tfmot's public namespace, only the function that makes one.
    from tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper import PruneLowMagnitude

    tf.config.list_physical_devices("GPU")

if issubclass(tf.keras.Model, keras.Model):
    # TensorFlow that was imported before the switch has only `tf.keras` switched: as a module, which keras-cv imports,
    # it would still find Keras 3 there.
    sys.modules.setdefault("tensorflow.keras", tf.keras)

tf.get_logger().setLevel("ERROR")

# Batches of up to so many images give an operation too little work for several threads: with one each, and as many
# operations at a time as there are cores, steps of 10 images are twice as fast on two cores (ResNet-18, width 16).
SMALL_BATCH = 32

__all__ = ["Devices", "PruneLowMagnitude", "keras", "start", "tf", "tfmot", "versions"]


@dataclasses.dataclass(frozen=True)
class Devices:
    """Where and how a run computes.

    Attributes:
      strategy: the tf.distribute strategy in whose scope the network is built.
      replicas: the number of devices that share each batch.
      precision: a Keras dtype policy name.
      jit: whether the training step is compiled by XLA.
      description: one line for the manifest.
      workers: the number of processes, each with as many of the replicas.
      worker: which of them this one is.
    """

    strategy: tf.distribute.Strategy
    replicas: int
    precision: str
    jit: bool
    description: str
    workers: int = 1
    worker: int = 0

    @property
    def local(self) -> slice:
        """The replicas of this process, a slice of all."""
        each = self.replicas // self.workers
        return slice(self.worker * each, (self.worker + 1) * each)


def start(run: Run, cluster: typing.Any = None, *, batch_size: int | None = None) -> Devices:
    """Configures determinism and devices as a config.Run asks, and returns the Devices.

    Must come before TensorFlow touches a device when logical CPU devices or other workers are wanted.

    Args:
      cluster: the cluster.Cluster of strategy=multi_worker.
      batch_size: images of a training step; None where nothing is trained.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and _has_gpu():
        streams.say("tf-tickets: TensorFlow sees no GPU though this machine has one; TF_CPP_MIN_LOG_LEVEL=0 tells why")
    if run.strategy == "mirrored" and not gpus:
        raise UsageError("--strategy=mirrored: TensorFlow sees no GPU; use --strategy=cpu:2 or one_device")
    if run.precision == "mixed_float16" and not gpus:
        raise UsageError("--precision=mixed_float16 needs a GPU, and TensorFlow sees none; use mixed_bfloat16")
    if run.deterministic:
        tf.config.experimental.enable_op_determinism()
        _sum_in_one_order()
    if not gpus and "TF_NUM_INTEROP_THREADS" not in os.environ:
        _share_out_threads(batch_size is not None and batch_size <= SMALL_BATCH)
    if cluster is not None:
        return _across(run, cluster)
    names = _device_names(run.strategy, gpus)
    if run.jit and len(names) > 1:
        raise UsageError(f"--jit works on one device only, and {len(names)} share the batch: --strategy=one_device")
    if len(names) > 1:
        strategy = tf.distribute.MirroredStrategy(names, cross_device_ops=_reduction(run.strategy))
    else:
        # TensorFlow's default strategy places everything on the first device. OneDeviceStrategy does too, at half the
        # images per second (ResNet-18, width 16, two CPU cores).
        strategy = tf.distribute.get_strategy()
    return Devices(strategy, len(names), run.precision, run.jit, ", ".join(names))


def _across(run, cluster):
    """The Devices of one worker of several. TensorFlow itself reads TF_CONFIG, from which the cluster was read too."""
    from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended
    from tensorflow.python.eager import context

    # TensorFlow's own watch over its peers aborts the process, or takes half a minute; `team` notices at once.
    context.context().configure_coordination_service(  # pyright: ignore[reportOptionalMemberAccess]  made at import
        service_type=""
    )
    CollectiveAllReduceExtended._enable_check_health = False
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, tf.errors.OpError) as error:
        name = cluster.name(cluster.index)
        raise UsageError(f"TF_CONFIG: {name} cannot open its port ({reason(error)}); free it") from None
    # All workers have the same number of steps: asking each other before every one would cost a round trip.
    strategy.extended.experimental_enable_get_next_as_optional = False
    replicas = strategy.num_replicas_in_sync
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    names = ", ".join(f"{kind}:{index}" for index in range(replicas // cluster.size))
    description = f"{cluster.size} workers of {names}"
    return Devices(strategy, replicas, run.precision, run.jit, description, cluster.size, cluster.index)


def _device_names(wanted, gpus):
    if wanted.startswith("cpu:"):
        count = int(wanted[4:])
        cpu = tf.config.list_physical_devices("CPU")[0]
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
        except RuntimeError:
            if len(tf.config.list_logical_devices("CPU")) < count:
                raise UsageError(f"--strategy={wanted}: TensorFlow has started with fewer logical devices") from None
        return [f"CPU:{index}" for index in range(count)]
    if wanted == "one_device":
        return ["GPU:0" if gpus else "CPU:0"]
    return [f"GPU:{index}" for index in range(len(gpus))] or ["CPU:0"]


def _reduction(wanted):
    # Logical CPU devices have no collective of their own; one device adds up the gradients in a fixed order.
    return tf.distribute.ReductionToOneDevice() if wanted.startswith("cpu:") else None


def _share_out_threads(small_batch):
    # Either one operation at a time, on all cores, or several, of one thread each. With several threads in several
    # operations oneDNN's kernel gradient of a ResNet's first convolution, at 64 channels, adds up in one of two orders
    # from step to step, also under op determinism.
    threading = tf.config.threading
    with contextlib.suppress(RuntimeError):  # a device is in use: what the process has is noted in the manifest
        if small_batch:
            threads = _threads(0, "TF_NUM_INTRAOP_THREADS")
            threading.set_intra_op_parallelism_threads(1)
            threading.set_inter_op_parallelism_threads(threads)
        else:
            threading.set_inter_op_parallelism_threads(1)


def _sum_in_one_order():
    # The kernel of AddN begins with the first input whose memory nothing else holds at that moment, so a sum of three
    # or more has bits that depend on which operations happened to be done, also under op determinism. Two things make
    # such sums: the tape, for what is used three times or more, and TensorFlow's rewriting of trees of additions, which
    # an update of momentum with decay is. Both are replaced by additions of two.
    from tensorflow.python import pywrap_tfe
    from tensorflow.python.eager import backprop

    def aggregate(gradients):
        if all(isinstance(gradient, tf.Tensor) for gradient in gradients):
            return functools.reduce(operator.add, gradients)
        return backprop._aggregate_grads(gradients)

    pywrap_tfe.TFE_Py_RegisterVSpace(backprop._default_vspace._replace(aggregate_fn=aggregate))
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


def _sums_of_two():
    return not tf.config.optimizer.get_experimental_options().get("arithmetic_optimization", True)


def versions() -> dict[str, typing.Any]:
    """The versions and thread settings on which bits depend, for the manifest."""
    import numpy
    from tensorflow.python.util import _pywrap_util_port

    return {
        "tf_tickets": tf_tickets.__version__,
        "tensorflow": tf.__version__,
        "tf_keras": keras.__version__,
        "tensorflow_model_optimization": tfmot.__version__,
        "numpy": numpy.__version__,
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "sums": "of two" if _sums_of_two() else "of many",
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", str(int(_pywrap_util_port.IsMklEnabled()))),
        "intra_op_threads": threads(),
        "inter_op_threads": _threads(tf.config.threading.get_inter_op_parallelism_threads(), "TF_NUM_INTEROP_THREADS"),
    }


def threads() -> int:
    """On how many threads TensorFlow computes one operation."""
    return _threads(tf.config.threading.get_intra_op_parallelism_threads(), "TF_NUM_INTRAOP_THREADS")


def _threads(configured: int, variable: str) -> int:
    """What TensorFlow takes: what the program set, else the environment's, else every processor it may run on."""
    if configured:
        return configured
    asked = os.environ.get(variable, "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
