"""Our own small network: ten plain convolutions, built like VGG-16 and a thousandth of its work.

It imports nothing of others but torch, so that it can be trained where nothing else is installed.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from app.explain.plain_layout import N_HALVED, WIDTHS


class Plain10(nn.Module):
    """3x3 convolutions with a ReLU after each, their maps averaged into the logits.

    Takes [B, 3, H, W], returns [B, num_classes]; H and W from 8 px. For 128 px it is 0.42 billion
    multiplications. batch_norm: with a normalisation between convolution and ReLU, which makes
    training faster; `fold_batch_norm` takes it out again.
    """

    def __init__(self, num_classes: int, *, batch_norm: bool = False) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        n_before = 3
        for number, block in enumerate(WIDTHS):
            if 0 < number <= N_HALVED:
                modules.append(nn.MaxPool2d(2))
            for n_channels in block:
                modules.append(nn.Conv2d(n_before, n_channels, 3, padding=1, bias=not batch_norm))
                if batch_norm:
                    modules.append(nn.BatchNorm2d(n_channels))
                modules.append(nn.ReLU())
                n_before = n_channels
        self.features = nn.Sequential(*modules)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(n_before, num_classes)
        for module in convolutions(self):
            # He et al. 2015: the spread of values stays the same from layer to layer.
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.pool(self.features(x))
        logits: Tensor = self.classifier(maps.flatten(1))
        return logits


def convolutions(network: Plain10) -> Iterator[nn.Conv2d]:
    """Its ten convolutions from input to output."""
    return (module for module in network.features if isinstance(module, nn.Conv2d))


@torch.no_grad()
def fold_batch_norm(trained: Plain10) -> Plain10:
    """The same network, as it answers in eval mode, with each normalisation in its convolution."""
    folded = Plain10(trained.classifier.out_features)
    norms = (module for module in trained.features if isinstance(module, nn.BatchNorm2d))
    pairs = zip(convolutions(trained), norms, convolutions(folded), strict=True)
    for convolution, norm, target in pairs:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert target.bias is not None
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        target.weight.copy_(convolution.weight * gain[:, None, None, None])
        target.bias.copy_(norm.bias - norm.running_mean * gain)
    folded.classifier.load_state_dict(trained.classifier.state_dict())
    return folded.eval()
