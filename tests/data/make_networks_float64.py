"""Makes networks_float64.npz: logits in float64 of the networks whose float32 logits hang on the last bits.

Run with PyTorch 2.13 and numpy, in this folder: python make_networks_float64.py
"""

import json

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def cosine_filters(size):
    """[size^2, size, size], i-major, each of L1 norm 1."""
    wave = [[np.cos(np.pi * (x + 0.5) * i / size) for x in range(size)] for i in range(size)]
    found = [np.outer(wave[i], wave[j]) for i in range(size) for j in range(size)]
    return torch.tensor(np.stack([f / np.abs(f).sum() for f in found]))


class Harmonic(nn.Module):
    """A 3x3 convolution from coefficients."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.stride, self.weight = stride, nn.Parameter(torch.zeros(c_out, c_in, 9, 1, 1))

    def forward(self, x):
        kernel = (self.weight * cosine_filters(3)).sum(2)
        return F.conv2d(x, kernel, stride=self.stride, padding=1)


class HarmonicStem(nn.Module):
    """Filter responses, normalised, mixed."""

    def __init__(self, c_out):
        super().__init__()
        self.bn, self.weight = nn.BatchNorm2d(27, affine=False), nn.Parameter(torch.zeros(c_out, 27, 1, 1))

    def forward(self, x):
        bank = cosine_filters(3)[:, None].repeat(3, 1, 1, 1)
        return F.conv2d(self.bn(F.conv2d(x, bank, padding=1, groups=3)), self.weight)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut; `kind` is plain, harmonic or full."""

    def __init__(self, kind, c_in, c, stride, shortcut):
        super().__init__()
        self.kind, self.shortcut_name = kind, shortcut
        self.conv1, self.bn1 = nn.Conv2d(c_in, c, 1, bias=False), nn.BatchNorm2d(c)
        padding = 2 if kind == "full" else 1
        middle = Harmonic(c, c, stride) if kind == "harmonic" else nn.Conv2d(c, c, 3, stride, padding, bias=False)
        self.middle_name = "harm2" if kind == "harmonic" else "conv2"
        setattr(self, self.middle_name, middle)
        self.bn2 = nn.BatchNorm2d(c)
        self.conv3, self.bn3 = nn.Conv2d(c, 4 * c, 1, bias=False), nn.BatchNorm2d(4 * c)
        if stride != 1 or c_in != 4 * c:
            setattr(self, shortcut, nn.Sequential(nn.Conv2d(c_in, 4 * c, 1, stride, bias=False), nn.BatchNorm2d(4 * c)))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(F.relu(self.bn2(getattr(self, self.middle_name)(out)))))
        x = F.pad(x, (1,) * 4) if self.kind == "full" else x
        return F.relu(out + (getattr(self, self.shortcut_name)(x) if hasattr(self, self.shortcut_name) else x))


class ResNet50(nn.Module):
    """ResNet-50 of any kind."""

    def __init__(self, kind, stem, width):
        super().__init__()
        size, stride = (3, 1) if stem == "small" else (7, 2)
        first = HarmonicStem(width) if kind == "harmonic" else nn.Conv2d(3, width, size, stride, size // 2, bias=False)
        pool = [nn.MaxPool2d(3, 2, 1)] if stem == "full" else []
        self.pre_conv = nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU(), *pool)
        c_in, shortcut = width, "shortcut" if kind == "plain" else "downsample"
        for stage, count in enumerate((3, 4, 6, 3)):
            c, blocks = width * 2**stage, []
            for index in range(count):
                blocks.append(Bottleneck(kind, c_in, c, 2 if stage and not index else 1, shortcut))
                c_in = 4 * c
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(c_in, 10)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.pre_conv(x)))))
        return self.linear(x.mean((2, 3)))


class Inverted(nn.Module):
    """MobileNetV2's block."""

    def __init__(self, c_in, c_out, expansion, stride):
        super().__init__()
        c, self.stride = c_in * expansion, stride
        self.conv1, self.bn1 = nn.Conv2d(c_in, c, 1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, stride, 1, groups=c, bias=False), nn.BatchNorm2d(c)
        self.conv3, self.bn3 = nn.Conv2d(c, c_out, 1, bias=False), nn.BatchNorm2d(c_out)
        self.shortcut = nn.Sequential()
        if stride == 1 and c_in != c_out:
            self.shortcut = nn.Sequential(nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        out = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        out = self.bn3(self.conv3(out))
        return out + self.shortcut(x) if self.stride == 1 else out


class MobileNet(nn.Module):
    """MobileNetV2 for 32 pixels."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        blocks, c_in = [], 32
        for expansion, c, count, stride in (
            (1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ):  # fmt: skip
            for index in range(count):
                blocks.append(Inverted(c_in, c, expansion, 1 if index else stride))
                c_in = c
        self.layers = nn.Sequential(*blocks)
        self.conv2, self.bn2 = nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280)
        self.linear = nn.Linear(1280, 10)

    def forward(self, x):
        x = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.linear(F.relu(self.bn2(self.conv2(x))).mean((2, 3)))


def fill(model, order):
    """Formula weights (README.md) in every listed tensor; biases 0."""
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if name.endswith(".bias"):
            nn.init.zeros_(parameter)
    for k, line in enumerate(order):
        parameter = parameters[line.split(" ")[0]]
        size = parameter.numel()
        values = np.sin(1 + 0.7 * np.arange(size) + k) * 1.4 / np.sqrt(size / parameter.shape[0])
        # Stored as float32, as in the fixtures, then widened.
        with torch.no_grad():
            parameter.copy_(torch.tensor(values.astype(np.float32)).reshape(parameter.shape))


def main():
    """Writes the file."""
    facts, fixture, found = json.load(open("networks.json"))["networks"], np.load("networks.npz"), {}
    makers = {
        "resnet50_small_w16": lambda: ResNet50("plain", "small", 16),
        "resnet50_full_w16": lambda: ResNet50("plain", "full", 16),
        "hresnet50_small": lambda: ResNet50("harmonic", "small", 64),
        "fresnet50_small": lambda: ResNet50("full", "small", 64),
        "mobilenet": MobileNet,
    }
    for case, make in makers.items():
        model = make().double()
        fill(model, facts[case]["order"])
        images = torch.tensor(fixture["x"]).double()
        if "_full_" in case:
            images = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
        with torch.no_grad():
            found[f"{case}/logits_train"] = model.train()(images).numpy()
            found[f"{case}/logits_eval_after_one_train_pass"] = model.eval()(images).numpy()
        for key in ("logits_train", "logits_eval_after_one_train_pass"):
            reference = fixture[f"{case}/{key}"]
            print(case, key, np.abs(found[f"{case}/{key}"] - reference).max() / np.abs(reference).max())
    np.savez_compressed("networks_float64.npz", **found)


if __name__ == "__main__":
    main()
