"""Makes sgd_steps_float64.npz and imp_trace_float64.npz with PyTorch: the fixtures' training again, in float64.

In float32 both hang on the last bit of a ReLU's input: PyTorch's own figures on two machines differ by 1.4 % in the
fifth loss of sgd_steps, and its first masks of imp_trace agree on 96.3 % of weights. In float64 they do not hang on it.
Run once in this folder, with torch installed: `python make_float64.py`.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Basic residual block."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            convolution = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.shortcut(x))


class Network(nn.Module):
    """ResNet-18 of width 8 with the small stem."""

    def __init__(self):
        super().__init__()
        self.pre_conv = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        widths = [8, 8, 16, 32, 64]
        for stage in range(1, 5):
            first = Block(widths[stage - 1], widths[stage], 1 if stage == 1 else 2)
            setattr(self, f"layer{stage}", nn.Sequential(first, Block(widths[stage], widths[stage], 1)))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.pre_conv(x)))))
        return self.linear(x.mean((2, 3)))


def start(arrays, rate):
    """The fixture's network in float64, and its optimizer."""
    network = Network()
    state = {key[5:]: torch.tensor(arrays[key]) for key in arrays.files if key.startswith("init/")}
    network.load_state_dict(state, strict=False)
    network.double().train()
    return network, optimizer_of(network, rate)


def optimizer_of(network, rate):
    """Fresh SGD."""
    return torch.optim.SGD(network.parameters(), rate, momentum=0.9, weight_decay=5e-4)


def step(network, optimizer, x, y):
    """One step; returns its loss."""
    optimizer.zero_grad()
    loss = functional.cross_entropy(network(torch.tensor(x.astype(np.float32)).double()), torch.tensor(y))
    loss.backward()
    optimizer.step()
    return loss.item()


def sgd_steps():
    """Five steps under a changing learning rate: losses and final state."""
    arrays = np.load("sgd_steps.npz")
    network, optimizer = start(arrays, 0.1)
    losses = []
    for x, y, rate in zip(arrays["x"], arrays["y"], arrays["learning_rates"]):
        optimizer.param_groups[0]["lr"] = float(rate)
        losses.append(step(network, optimizer, x, y))
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    after = {f"after5/{key}": value.numpy().astype(np.float32) for key, value in state.items()}
    np.savez_compressed("sgd_steps_float64.npz", losses=np.array(losses), **after)


def imp_trace():
    """Three rounds of iterative magnitude pruning on fixed batches: losses and masks."""
    arrays = np.load("imp_trace.npz")
    network, optimizer = start(arrays, 0.02)
    kernels = [(name, p) for name, p in network.named_parameters() if p.ndim == 4]
    masks = {name: torch.ones_like(p) for name, p in kernels}
    losses, found = [], {}
    for number in (1, 2, 3):
        for epoch in range(0 if number == 1 else 1, 4):
            row = []
            for x, y in zip(arrays["x"], arrays["y"]):
                row.append(step(network, optimizer, x, y))
                with torch.no_grad():
                    for name, p in kernels:
                        p.mul_(masks[name])
            losses.append(row)
            if number == 1 and epoch == 0:
                rewind = {key: value.clone() for key, value in network.state_dict().items()}
        left = torch.cat([p.detach().abs()[masks[name] > 0] for name, p in kernels])
        threshold = left.sort().values[round(0.2 * len(left)) - 1]
        for name, p in kernels:
            masks[name] = masks[name] * (p.detach().abs() > threshold)
            found[f"round{number}/mask/{name[:-7]}"] = np.packbits(masks[name].bool().numpy())
        network.load_state_dict(rewind)
        with torch.no_grad():
            for name, p in kernels:
                p.mul_(masks[name])
        optimizer = optimizer_of(network, 0.02)
    np.savez_compressed("imp_trace_float64.npz", losses=np.array(losses), **found)


if __name__ == "__main__":
    sgd_steps()
    imp_trace()
