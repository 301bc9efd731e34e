"""Attacks in pixel space, [0, 1], on a normalising network: pure functions of tensors (docs/science.md, Robustness)."""

from collections.abc import Callable

from tf_tickets.backend import tf


def loss_gradient(
    logits_of: Callable[[tf.Tensor], tf.Tensor], loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], images: tf.Tensor,
    targets: tf.Tensor,
) -> tf.Tensor:  # fmt: skip
    """The gradient of the summed loss by the pixels.

    Args:
      logits_of: function float32 [n, height, width, channels] in [0, 1] -> logits; normalisation inside.
      loss: function (targets, logits) -> float32 [n].
      images: float32 [n, height, width, channels] in [0, 1].
      targets: float32 [n, classes].

    Returns:
      float32, of the images' shape.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        value = tf.reduce_sum(loss(targets, logits_of(images)))
    return tape.gradient(value, images)  # pyright: ignore[reportReturnType]  of dense images


def fgsm(gradient_of: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor, eps: float) -> tf.Tensor:
    """The fast gradient sign method (Goodfellow et al. 2015): one step of `eps` uphill, clipped to [0, 1].

    Args:
      gradient_of: function images -> gradient of the loss, such as a partial `loss_gradient`.
      images: float32 [n, height, width, channels] in [0, 1].
      eps: largest change of a pixel, such as 8/255.
    """
    return tf.clip_by_value(images + eps * tf.sign(gradient_of(images)), 0.0, 1.0)


def pgd(
    gradient_of: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor, *, eps: float, step: float, steps: int,
    start: tf.Tensor | None = None,
) -> tf.Tensor:  # fmt: skip
    """Projected gradient descent in the maximum norm (Madry et al. 2018).

    Args:
      gradient_of: function images -> gradient of the loss.
      images: float32 [n, height, width, channels] in [0, 1].
      eps: radius of the ball.
      step: change of a pixel per step.
      steps: their number.
      start: noise that the first step begins from, within the ball; None begins at the images.

    Returns:
      Images within `eps` of the given ones, in [0, 1].
    """
    low, high = tf.maximum(images - eps, 0.0), tf.minimum(images + eps, 1.0)
    attacked = images if start is None else tf.clip_by_value(images + start, low, high)
    for _ in range(steps):
        attacked = tf.clip_by_value(attacked + step * tf.sign(gradient_of(attacked)), low, high)
    return attacked
