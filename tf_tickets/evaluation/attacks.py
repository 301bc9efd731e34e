"""Accuracy under attack: FGSM and PGD in pixel space on a network that normalises (docs/science.md, Robustness)."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tf_tickets import seeds
from tf_tickets.backend import keras, tf
from tf_tickets.data import pipeline
from tf_tickets.data.catalog import DataSet
from tf_tickets.evaluation import replicas
from tf_tickets.training import adversarial, losses

BATCH = 500


@dataclasses.dataclass(frozen=True)
class Attack:
    """Which attack.

    Attributes:
      kind: fgsm or pgd.
      eps: largest change of a pixel in [0, 1].
      step, steps: of pgd; fgsm is one step of eps.
      restarts: random starts of pgd; 0 starts once, at the image itself.
    """

    kind: str
    eps: float
    step: float = 0.0
    steps: int = 1
    restarts: int = 0

    @property
    def setting(self) -> str:
        """The attack in words, such as eps=0.0314,step=0.00784,steps=10,restarts=1."""
        text = f"eps={self.eps:.4g}"
        if self.kind == "fgsm":
            return text
        return f"{text},step={self.step:.4g},steps={self.steps},restarts={self.restarts}"


def logits_of(
    model: keras.Model, images: pipeline.Images, data_set: DataSet, attack: Attack, *,
    loss: Callable = losses.cross_entropy, seed: int = 0, batch: int = BATCH,
    strategy: tf.distribute.Strategy | None = None,
) -> np.ndarray:  # fmt: skip
    """Logits of attacked images, of several restarts those of the highest loss.

    Args:
      model: network of normalised images, without dropout or in inference mode.
      loss: what the attack climbs, (targets, logits) -> float32 [n].
      seed: of the random starts; an image's noise depends on it, the restart and the image's id alone.
      batch: images a call.
      strategy: over whose replicas each call is spread, and in whose scope the network was built; None for one device.

    Returns:
      float32 [len(images), classes].
    """

    def gradient_of(targets):
        return lambda pixels: adversarial.loss_gradient(
            lambda x: model(data_set.standardise(x), training=False), loss, pixels, targets
        )

    def attacked(pixels, targets, noise):
        if attack.kind == "fgsm":
            adversarial_pixels = adversarial.fgsm(gradient_of(targets), pixels, attack.eps)
        else:
            adversarial_pixels = adversarial.pgd(
                gradient_of(targets), pixels, eps=attack.eps, step=attack.step, steps=attack.steps, start=noise
            )
        logits = model(data_set.standardise(adversarial_pixels), training=False)
        return logits, loss(targets, logits)

    attack_batch = replicas.spread(attacked, strategy)
    parts = []
    for start in range(0, len(images), batch):
        chosen = slice(start, start + batch)
        pixels = pipeline.evaluation_pixels(images, chosen, data_set) / np.float32(data_set.scale)
        targets = np.eye(data_set.classes, dtype=np.float32)[images.labels[chosen]]
        place = images.ids[chosen], pixels.shape[1:], attack, seed
        best, worst = attack_batch(pixels, targets, _noise(*place, 0))
        for restart in range(1, attack.restarts):
            logits, value = attack_batch(pixels, targets, _noise(*place, restart))
            higher = value > worst
            best[higher], worst[higher] = logits[higher], value[higher]
        parts.append(best)
    return np.concatenate(parts)


def _noise(ids, shape, attack, seed, restart):
    if not attack.restarts:
        return np.zeros([len(ids), *shape], np.float32)
    keys = seeds.spread(seeds.fold("evaluation noise", seed, restart), ids)
    draws = [seeds.uniform(int(key), int(np.prod(shape))).reshape(shape) for key in keys]
    return (np.stack(draws) * 2.0 * attack.eps - attack.eps).astype(np.float32)
