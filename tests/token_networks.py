"""Two small transformers on patches, as a registry entry would add one: bare parameters, tokens, no closed form of the map."""

from __future__ import annotations

from cxreader import torch_setup  # noqa: F401 - before torch

# isort: split
import torch
from torch import Tensor, nn

from cxreader.models.registry import ModelEntry
from cxreader.models.stages import StagedModel

PATCH, WIDTH = 8, 12


class Patches(nn.Module):
    """(N, 3, S, S) to tokens (N, T, C), with position embeddings and perhaps a class token before the patches."""

    def __init__(self, size: int, class_token: bool) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, WIDTH, PATCH, stride=PATCH)
        self.class_token = nn.Parameter(torch.randn(1, 1, WIDTH)) if class_token else None
        self.positions = nn.Parameter(torch.randn(1, (size // PATCH) ** 2 + class_token, WIDTH))

    def forward(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.project(images).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        return tokens + self.positions


class Block(nn.Module):
    """Attention with one head and a layer scale (Touvron et al., ICCV 2021), no MLP."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH)
        self.scale = nn.Parameter(torch.rand(WIDTH) + 0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(tokens)).chunk(3, dim=2)
        seen = torch.softmax(q @ k.transpose(1, 2) / WIDTH**0.5, dim=2) @ v
        after: Tensor = tokens + self.scale * seen
        return after


class ClassToken(nn.Module):
    """(N, T, C) to (N, C): the first token."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0]


class MeanToken(nn.Module):
    """(N, T, C) to (N, C): the mean of all tokens."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.mean(dim=1)


def by_class_token(*, dropout: float = 0.2, size: int = 32) -> StagedModel:
    return _network(size, dropout, ClassToken(), class_token=True)


def by_mean(*, dropout: float = 0.2, size: int = 32) -> StagedModel:
    return _network(size, dropout, MeanToken(), class_token=False)


def _network(size: int, dropout: float, pool: nn.Module, *, class_token: bool) -> StagedModel:
    stages = [("patches", Patches(size, class_token)), ("block1", Block()), ("last_block", Block()), ("pool", pool)]
    return StagedModel([*stages, ("drop", nn.Dropout(dropout)), ("head", nn.Linear(WIDTH, 2))])


ENTRIES = tuple(
    ModelEntry(
        name=function.__name__,
        build=f"tests.token_networks:{function.__name__}",
        reference="a test's",
        # Behind the last block the class token alone goes on: no gradient reaches the patches there.
        cam_stage=stage,
        maps="cxreader.models.stages:token_maps",
        closed_form_maps=False,
    )
    for function, stage in ((by_class_token, "block1"), (by_mean, "last_block"))
)
