"""MobileNetV2 (Sandler et al. 2018) in Keras, with the release's plain ReLUs."""

from tf_tickets.models import parts


def body(images, described, policy):
    """From images to `features`; `described` is a sequential.MobileNet."""
    kernels = described.body()
    stride = 2 if described.stem == "full" else 1
    x = _unit(images, kernels[0], "bn1", stride, policy)
    for block in described.blocks:
        x = _block(x, block, policy)
    x = _unit(x, kernels[-1], "bn2", 1, policy)
    return parts.pooled(x, policy)


def _unit(x, kernel, name, stride, policy):
    x = parts.normalise(parts.convolve(x, kernel, stride, policy), name, policy)
    return parts.relu(x, f"{kernel.name}.relu", policy)


def _block(x, block, policy):
    shortcut, kernels = x, block.kernels()
    for index, (kernel, stride) in enumerate(zip(kernels, (1, block.stride, 1)), 1):
        x = parts.normalise(parts.convolve(x, kernel, stride, policy), f"{block.name}.bn{index}", policy)
        if index < 3:
            x = parts.relu(x, f"{block.name}.relu{index}", policy)
    if block.stride != 1:
        return x
    if block.projects:
        shortcut = parts.convolve(shortcut, kernels[3], 1, policy)
        shortcut = parts.normalise(shortcut, f"{block.name}.shortcut.1", policy)
    return parts.add([x, shortcut], f"{block.name}.add", policy)
