"""What a training step minimises: functions (model, *batch) -> (loss, correct), float32 [n] each."""

from collections.abc import Callable

from tf_tickets.backend import tf
from tf_tickets.data import catalog
from tf_tickets.models import auxiliary
from tf_tickets.settings.groups import Training
from tf_tickets.training import adversarial


def supervised(loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Callable:
    """Classification.

    Args:
      loss: function (targets, logits) -> float32 [n], from `losses.build`.

    Returns:
      An objective on batches (images, targets): float32 [n, height, width, channels], normalised, and [n, classes].
    """

    def objective(model, images, targets):
        logits = model(images, training=True)
        return loss(targets, logits), _correct(targets, logits)

    return objective


def distilled(
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], answers: Callable[[tf.Tensor], tf.Tensor], training: Training
) -> Callable:
    """Classification that also follows another network's answers (Hinton et al. 2015, section 2).

    (1 - a) x loss + a T^2 x the cross-entropy of softmax(z / T) to the answers for the same augmented images; z are the
    logits, a is `distillation`, T `distillation_temperature`.

    Args:
      loss: as in `supervised`.
      answers: function from normalised images to probabilities at temperature T, float32 [n, classes].
      training: the settings.

    Returns:
      An objective on batches as those of `supervised`.
    """
    share, temperature = training.distillation, training.distillation_temperature

    def objective(model, images, targets):
        logits = model(images, training=True)
        softened = tf.cast(logits, tf.float32) / temperature
        followed = tf.nn.softmax_cross_entropy_with_logits(answers(images), softened)
        return (1.0 - share) * loss(targets, logits) + share * temperature**2 * followed, _correct(targets, logits)

    return objective


def advprop(
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], data_set: catalog.DataSet, training: Training
) -> Callable:
    """Classification of adversarial images by the auxiliary normalisation and of clean ones by the network's own.

    Xie et al. 2020 (AdvProp), as in docs/science.md, Robustness: untargeted projected gradient descent in pixel space,
    in inference mode under the auxiliary statistics; the loss is the mean of the two.

    Args:
      loss: as in `supervised`.
      data_set: for normalisation.
      training: attack_eps, attack_step, attack_steps.

    Returns:
      An objective on batches (images in [0, 1], targets, noise from which the attack starts), for a network of
      `models.auxiliary.add`. `correct` counts clean images.
    """

    def attack(model, images, targets, noise):
        def gradient_of(pixels):
            return adversarial.loss_gradient(
                lambda x: model(data_set.standardise(x), training=False), loss, pixels, targets
            )

        attacked = adversarial.pgd(
            gradient_of, images, eps=training.attack_eps, step=training.attack_step, steps=training.attack_steps,
            start=noise,
        )  # fmt: skip
        return tf.stop_gradient(attacked)

    def objective(model, images, targets, noise):
        with auxiliary.path():
            attacked = attack(model, images, targets, noise)
            adversarial_loss = loss(targets, model(data_set.standardise(attacked), training=True))
        logits = model(data_set.standardise(images), training=True)
        return 0.5 * (adversarial_loss + loss(targets, logits)), _correct(targets, logits)

    return objective


def _correct(targets, logits):
    return tf.cast(tf.equal(tf.argmax(logits, -1), tf.argmax(targets, -1)), tf.float32)
