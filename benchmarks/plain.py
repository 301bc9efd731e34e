"""The work of two rounds at 1 % as a program of TFDS and Keras alone, for its peak memory: `overheads.py` asks for it.

Reads 500 training and all test images, trains our network, never wrapped, twice with crops and flips, tests it in the
middle and at the end of each, keeps a checkpoint and TensorBoard's logs and writes a SavedModel. No pruning, no masks,
no resume.
"""

import os

BATCH, TEST_BATCH = 100, 500


def work(data_dir, out, config):
    """Does it, with the network and the epochs of a Config; the imports of a run come first."""
    import tensorflow_datasets as tfds

    import tf_tickets.experiments.rounds  # noqa: F401
    from tf_tickets import backend
    from tf_tickets.models import builder

    tf, keras = backend.tf, backend.keras
    train, test = (
        tfds.load("cifar10", split=split, data_dir=data_dir, batch_size=-1, as_supervised=True)
        for split in ("train[:1%]", "test")
    )

    def scaled(images):
        return (tf.cast(images, tf.float32) - 120.0) / 60.0

    def augmented(images, labels):
        images = tf.image.random_crop(tf.pad(scaled(images), [[0, 0], [4, 4], [4, 4], [0, 0]]), tf.shape(images))
        return tf.image.random_flip_left_right(images), labels

    batches = tf.data.Dataset.from_tensor_slices(train).shuffle(500).batch(BATCH).map(augmented).prefetch(4)
    tests = tf.data.Dataset.from_tensor_slices(test).batch(TEST_BATCH)
    tests = tests.map(lambda images, labels: (scaled(images), labels))
    model = builder.build("resnet18", classes=10, image_shape=(32, 32, 3), width=config.network.width)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.legacy.SGD(0.1, 0.9), loss, ["accuracy"])
    half = config.training.epochs // 2
    for index in range(2):
        callbacks = [
            keras.callbacks.TensorBoard(os.path.join(out, f"logs_{index}")),
            keras.callbacks.ModelCheckpoint(os.path.join(out, "checkpoint"), save_weights_only=True),
        ]
        for first in (0, half):
            model.fit(batches, initial_epoch=first, epochs=first + half, callbacks=callbacks, verbose=0)
            model.evaluate(tests, verbose=0)
    model.save(os.path.join(out, "saved_model"), save_format="tf")
