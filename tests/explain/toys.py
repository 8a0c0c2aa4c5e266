"""Small networks with numbers that can be worked out by hand, and a slow, plain reference."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import get_ident

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGE = torch.tensor(
    [
        [[1.0, 2.0], [3.0, 4.0]],
        [[0.0, -1.0], [2.0, 0.0]],
        [[1.0, 1.0], [1.0, 1.0]],
    ]
)
"""[3, 2, 2], the input for which the toy's numbers are worked out in the tests."""


class Toy(nn.Module):
    """ReLU of the picture itself, then logits as weighted means of the three maps."""

    def __init__(self, *, inplace: bool = False, as_function: bool = False) -> None:
        super().__init__()
        self.same = nn.Conv2d(3, 3, 1, bias=False)
        self.same.weight.data = torch.eye(3).reshape(3, 3, 1, 1)
        if not as_function:
            self.relu = nn.ReLU(inplace=inplace)
        self.as_function, self.inplace = as_function, inplace
        self.head = nn.Linear(3, 2, bias=False)
        self.head.weight.data = torch.tensor([[4.0, 8.0, -2.0], [-4.0, -8.0, -2.0]])

    def forward(self, x: Tensor) -> Tensor:
        x = self.same(x)
        x = functional.relu(x, inplace=self.inplace) if self.as_function else self.relu(x)
        return self.head(x.mean(dim=(2, 3)))


class Interrupted(Toy):
    """Another thread has its turn in every pass of the thread that made it, before the ReLU and
    behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None
        self._own = get_ident()

    def forward(self, x: Tensor) -> Tensor:
        x = self.same(x)
        self._interrupt()
        x = self.relu(x)
        self._interrupt()
        return self.head(x.mean(dim=(2, 3)))

    def _interrupt(self) -> None:
        if get_ident() == self._own:
            with ThreadPoolExecutor(max_workers=1) as other:
                other.submit(self.meanwhile).result()


class Block(nn.Module):
    """A residual block that calls its one in-place ReLU twice, as torchvision's."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_channels, n_channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(n_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(n_channels, n_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.conv2(out)
        out += x
        return self.relu(out)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.block = Block(8)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.block(self.stem(x)).mean(dim=(2, 3))))


class Dense(nn.Module):
    """Two growing concatenations with functional, in-place ReLUs before each convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(4)
        self.grow1 = nn.Conv2d(4, 4, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(8)
        self.grow2 = nn.Conv2d(8, 4, 3, padding=1)
        self.norm3 = nn.BatchNorm2d(12)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([x, self.grow1(functional.relu(self.norm1(x), inplace=True))], 1)
        x = torch.cat([x, self.grow2(functional.relu(self.norm2(x), inplace=True))], 1)
        x = functional.relu(self.norm3(x), inplace=True)
        return self.head(x.mean(dim=(2, 3)))


class Shared(nn.Module):
    """One convolution and one ReLU, each called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.relu(self.conv(x))
        return self.head(x.mean(dim=(2, 3)))


class Planted(nn.Module):
    """Feature maps that light up in known groups: blobs near the group's centre, with noise."""

    CENTRES = ((3, 3), (3, 10), (10, 3), (10, 10))

    def __init__(self, n_per_group: int, *, seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        rows, columns = np.mgrid[:14, :14]
        self.group_of = np.repeat(np.arange(4), n_per_group)
        rng.shuffle(self.group_of)
        blobs = []
        for group in self.group_of:
            row, column = np.array(self.CENTRES[group]) + rng.normal(0, 0.5, 2)
            blob = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 6)
            blobs.append(blob + 0.05 * rng.random((14, 14)))
        self.register_buffer("blobs", torch.tensor(np.array(blobs), dtype=torch.float32))
        self.relu = nn.ReLU()
        self.head = nn.Linear(len(blobs), 2, bias=False)
        nn.init.constant_(self.head.weight, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.relu(x.mean(dim=(1, 2, 3)).reshape(-1, 1, 1, 1) * self.blobs)
        return self.head(maps.mean(dim=(2, 3)))


def naive_weights(
    module: nn.Module, image: Tensor, name: str, target: int, *, before_relu: bool = False
) -> np.ndarray:
    """Channel weights in percent of one layer, from a pass of its own.

    The last output of the module is cut out of the graph and put back as a leaf, whose gradient is
    then read; with before_relu, a ReLU follows that is no module.
    """
    part = module.get_submodule(name)
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        leaves.append(output.detach().clone().requires_grad_())
        return leaves[-1] * 1

    handle = part.register_forward_hook(cut)
    try:
        logits = module.eval()(image[None])
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(logits[0, target], [leaves[-1]])
    maps = leaves[-1].relu() if before_relu else leaves[-1]
    guided = torch.where((maps > 0) & (gradient > 0), gradient, 0)[0]
    weights = guided.double().mean(dim=(1, 2)).detach().numpy()
    return 100 * weights / weights.sum()


def random_image(side: int = 12, *, seed: int = 0) -> Tensor:
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed))


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
