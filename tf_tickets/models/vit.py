"""The small vision transformer (Dosovitskiy et al. 2021) in Keras, flat, so that every kernel is a layer of its own."""

from tf_tickets.backend import keras
from tf_tickets.models import initial, layers, parts
from tf_tickets.models.transformer import DEPTH


def body(images, described, policy):
    """From images to `features`, the normalised class token; `described` is a transformer.VisionTransformer."""
    kernels = {kernel.name: kernel for kernel in described.body()}
    if described.resizes:
        images = keras.layers.Resizing(*described.side, "bilinear", name="resize", dtype=policy)(images)
    x = parts.convolve(images, kernels["patch_embed.proj"], described.patch, policy, padding=0)
    x = layers.Tokens(name="tokens", dtype=policy)(x)

    def dense(x, name):
        kernel = kernels[name]
        return keras.layers.Dense(kernel.outputs, kernel_initializer="zeros", name=name, dtype=policy)(x)

    for index in range(DEPTH):
        block = f"blocks.{index}"
        inner = dense(_normalise(x, f"{block}.norm1", policy), f"{block}.attn.qkv")
        inner = layers.Attention(described.heads, name=f"{block}.attn", dtype=policy)(inner)
        x = parts.add([x, dense(inner, f"{block}.attn.proj")], f"{block}.add1", policy)
        inner = dense(_normalise(x, f"{block}.norm2", policy), f"{block}.mlp.fc1")
        inner = keras.layers.Activation("gelu", name=f"{block}.mlp.act", dtype=policy)(inner)
        x = parts.add([x, dense(inner, f"{block}.mlp.fc2")], f"{block}.add2", policy)
    return layers.First(name="features", dtype=policy)(_normalise(x, "norm", policy))


def _normalise(x, name, policy):
    return keras.layers.LayerNormalization(epsilon=1e-6, name=name, dtype=policy)(x)


def draw_tokens(model, seed):
    """Class token and positions, as timm draws them: normal 1e-6 and normal 0.02."""
    layer = model.get_layer("tokens")
    for variable, name, deviation in ((layer.cls_token, "cls_token", 1e-6), (layer.pos_embed, "pos_embed", 0.02)):
        variable.assign(initial.normal(seed, "tokens", name, tuple(variable.shape), deviation))
