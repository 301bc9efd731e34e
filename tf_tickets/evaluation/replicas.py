"""A function of a batch, shared out over the replicas of a strategy."""

from collections.abc import Callable

import numpy as np

from tf_tickets.backend import tf


def spread(function: Callable, strategy: tf.distribute.Strategy | None = None) -> Callable:
    """Compiles a function whose batches every replica gets its share of.

    Args:
      function: tensors [n, ...] -> a tensor [n, ...] or a tuple of them, whose rows depend on no other row.
      strategy: a tf.distribute.Strategy; None for the one in whose scope this is called.

    Returns:
      A function of numpy arrays [n, ...] -> numpy arrays, in order. Where n is no multiple of the replicas the last
      image fills up and is cut off again.
    """
    chosen = strategy or tf.distribute.get_strategy()
    assert chosen is not None, "there is always one"
    replicas = chosen.num_replicas_in_sync
    if replicas == 1:
        compiled = tf.function(function, reduce_retracing=True, autograph=False)
        return lambda *arrays: tf.nest.map_structure(lambda tensor: tensor.numpy(), compiled(*arrays))
    shared = tf.function(lambda *shares: chosen.run(function, args=shares), reduce_retracing=True, autograph=False)

    def call(*arrays):
        count, each = len(arrays[0]), -(-len(arrays[0]) // replicas)
        rows = np.minimum(np.arange(each * replicas), count - 1)
        shares = [_share(chosen, np.asarray(array)[rows], each) for array in arrays]
        parts = shared(*shares)
        whole = [_joined(chosen, part)[:count] for part in (parts if isinstance(parts, tuple) else (parts,))]
        return tuple(whole) if isinstance(parts, tuple) else whole[0]

    return call


def _share(strategy, array, each):
    def of_replica(context):
        first = context.replica_id_in_sync_group * each
        return tf.constant(array[first : first + each])

    return strategy.experimental_distribute_values_from_function(of_replica)


def _joined(strategy, value):
    return np.concatenate([part.numpy() for part in strategy.experimental_local_results(value)])
