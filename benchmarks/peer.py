"""The plain PyTorch peer of benchmarks/steps.py: ResNet-18 for 32x32 pictures, masks by torch's own pruning utility."""

import time

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, images):
        """[n, channels_in, height, width] -> [n, channels, height', width']."""
        inner = torch.relu(self.norms[0](self.first(images)))
        return torch.relu(self.norms[1](self.second(inner)) + self.shortcut(images))


def resnet18(width, classes=10):
    """Small stem, four stages of two blocks, mean over positions, linear head."""
    parts, channels_in = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()], width
    for stage in range(4):
        for index in range(2):
            channels = width * 2**stage
            parts.append(Block(channels_in, channels, 2 if stage and not index else 1))
            channels_in = channels
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels_in, classes))


def stepper(width, images, labels, density, channels_last, threads):
    """A function steps -> seconds that trains on one batch.

    Args:
      width: channels of the first stage.
      images: float32 [n, height, width, 3].
      labels: int64 [n].
      density: share of the weights of every convolution and the head that the masks keep.
      channels_last: memory layout.
      threads: of PyTorch's pool.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model, draws = resnet18(width), np.random.default_rng(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=layout)
    batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(memory_format=layout)
    targets = torch.from_numpy(labels)
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            kept = torch.from_numpy(draws.random(tuple(layer.weight.shape)) < density)
            prune.custom_from_mask(layer, "weight", kept.to(torch.float32))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    loss_of = nn.CrossEntropyLoss()

    def run(steps):
        start = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            loss_of(model(batch), targets).backward()
            optimizer.step()
        return time.perf_counter() - start

    return run
