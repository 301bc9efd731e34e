"""Makes wide_networks.npz: wide residual networks as Zagoruyko & Komodakis (2016) define them, in PyTorch.

Run with PyTorch 2.13 and numpy, in this folder: python make_wide_networks.py
"""

import json

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Normalise, rectify, convolve, twice; the sum with the input, or with a 1x1 convolution of what the first sees."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(c_in), nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(c_out), nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        if c_in != c_out or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False))

    def forward(self, x):
        active = F.relu(self.bn1(x))
        residual = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return residual + (self.shortcut(active) if hasattr(self, "shortcut") else x)


class WideResNet(nn.Module):
    """Depth 16: three stages of two blocks with 16 k, 32 k and 64 k channels, after a stem of 16."""

    def __init__(self, k, classes=10):
        super().__init__()
        self.conv1, c_in = nn.Conv2d(3, 16, 3, 1, 1, bias=False), 16
        for stage in range(3):
            c_out = 16 * k * 2**stage
            blocks = [Block(c_in, c_out, 2 if stage else 1), Block(c_out, c_out, 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            c_in = c_out
        self.bn1, self.linear = nn.BatchNorm2d(c_in), nn.Linear(c_in, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.linear(F.relu(self.bn1(x)).mean((2, 3)))


def fill(model):
    """Formula weights (README.md) for all kernels in the network's order, and other scales, shifts and statistics.

    With scales of one and shifts of zero some misplaced normalisations would go unseen.
    """
    order = [(name, p) for name, p in model.named_parameters() if p.dim() > 1]
    with torch.no_grad():
        for k, (_, parameter) in enumerate(order):
            size = parameter.numel()
            values = np.sin(1 + 0.7 * np.arange(size) + k) * 1.4 / np.sqrt(size / parameter.shape[0])
            parameter.copy_(torch.tensor(values.astype(np.float32)).reshape(parameter.shape))
        for name, tensor in model.state_dict().items():
            if tensor.dim() == 1:
                values = 0.3 * np.sin(sum(name.encode()) + 0.9 * np.arange(len(tensor)))
                offset = 1.0 if name.endswith(("weight", "running_var")) else 0.0
                tensor.copy_(torch.tensor(values + offset))
    return [f"{name} {list(parameter.shape)}" for name, parameter in order]


def main():
    """Writes the file."""
    images, arrays, facts = torch.tensor(np.load("networks.npz")["x"]), {}, {}
    for k in (1, 4, 8):
        model = WideResNet(k)
        order = fill(model)
        kernels = [p for p in model.parameters() if p.dim() == 4]
        facts[f"k{k}"] = {
            "order": order,
            "trainable_parameters": sum(p.numel() for p in model.parameters()),
            "prunable_weights": sum(p.numel() for p in kernels),
        }
        model = model.double()
        with torch.no_grad():
            arrays[f"k{k}/logits_eval"] = model.eval()(images.double()).numpy()
            arrays[f"k{k}/logits_train"] = model.train()(images.double()).numpy()
            arrays[f"k{k}/logits_eval_after_one_train_pass"] = model.eval()(images.double()).numpy()
    # Gradients of the mean cross-entropy in training mode, by kernel, of the narrowest.
    model = WideResNet(1)
    fill(model)
    model = model.double().train()
    loss = F.cross_entropy(model(images.double()), torch.arange(len(images)) % 10)
    loss.backward()
    arrays["k1/loss"] = loss.item()
    for name, parameter in model.named_parameters():
        arrays[f"k1/gradient_norm/{name}"] = parameter.grad.norm().item()
    arrays["facts"] = np.frombuffer(json.dumps(facts, sort_keys=True).encode(), np.uint8)
    np.savez_compressed("wide_networks.npz", **arrays)


if __name__ == "__main__":
    main()
