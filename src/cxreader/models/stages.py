"""The idea of the house: a network is an ordered sequence of named stages.

Freezing says where the cut is, Grad-CAM takes the gradient of what stands behind the last spatial stage, and neither
needs hooks, name patterns or special cases.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Literal, Self

import torch
from torch import Tensor, nn

from cxreader.errors import ModelError, nearest

TAIL = ("last_block", "pool", "drop", "head")
"""How every network ends: the last learning block (spatial), vectors, dropout, the linear classifier."""

Learn = Literal["head", "last_block", "all"]


class StagedModel(nn.Sequential):
    """Named stages in order, (N, 3, H, W) float32 in, (N, 2) logits out (normal, abnormal).

    `cut` is the first stage that learns: everything before it is frozen, parameters and BatchNorm statistics alike.
    `published_names`: this state dict's keys -> those of the published network's files, where the two differ. Raises
    ModelError when the stages do not end in last_block, pool, drop, head, or `drop` is no Dropout.
    """

    def __init__(self, stages: Iterable[tuple[str, nn.Module]]) -> None:
        ordered = OrderedDict(stages)
        super().__init__(ordered)
        self.names = tuple(ordered)
        self.cut = self.names[0]
        self.published_names: dict[str, str] = {}
        if self.names[-len(TAIL) :] != TAIL:
            raise ModelError(f"stages end in {self.names[-len(TAIL) :]}", mend=f"end them in {', '.join(TAIL)}")
        if not isinstance(self.drop, nn.Dropout):
            raise ModelError("the stage `drop` is no nn.Dropout", mend="put nn.Dropout(p) there, p = 0 for none")

    def until(self, x: Tensor, stage: str) -> Tensor:
        """What comes out of `stage`: the input runs through it and everything before it."""
        return deque(self.each_until(x, stage), maxlen=1)[0]

    def each_until(self, x: Tensor, stage: str) -> Iterator[Tensor]:
        """What comes out of each stage up to `stage`, in order."""
        for name in self.names[: self._position(stage) + 1]:
            x = self.get_submodule(name)(x)
            yield x

    def maps_and_features(self, x: Tensor, stage: str) -> tuple[Tensor, Tensor]:
        """What comes out of `stage`, and what every stage up to it saw there: features (N, D), channel by channel.

        Each is a channel's mean over the middle of its map (see `central_average_pool`), stage after stage.
        """
        means = []
        for maps in self.each_until(x, stage):
            means.append(central_average_pool(maps))
        return maps, torch.cat(means, dim=1)

    def after(self, x: Tensor, stage: str) -> Tensor:
        """The logits, given what came out of `stage`: x runs through everything behind it."""
        for name in self.names[self._position(stage) + 1 :]:
            x = self.get_submodule(name)(x)
        return x

    def frozen_stage(self) -> str | None:
        """The last frozen stage, None when every stage learns."""
        position = self._position(self.cut)
        return self.names[position - 1] if position else None

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 2). No gradient is kept for the frozen stages."""
        frozen = self.frozen_stage()
        if frozen is None:
            return self.after(self.until(x, self.names[0]), self.names[0])
        with torch.no_grad():
            x = self.until(x, frozen)
        return self.after(x, frozen)

    def learn(self, what: Learn) -> Self:
        """Move the cut: `head` freezes all up to the vectors, `last_block` all before it, `all` nothing."""
        self.cut = {"head": "drop", "last_block": "last_block", "all": self.names[0]}[what]
        position = self._position(self.cut)
        for i, stage in enumerate(self):
            stage.requires_grad_(i >= position)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training mode for the learning stages alone: frozen ones keep their BatchNorm statistics and drop nothing."""
        super().train(mode)
        if mode:
            for name in self.names[: self._position(self.cut)]:
                self.get_submodule(name).eval()
        return self

    def _position(self, stage: str) -> int:
        if stage not in self.names:
            raise ModelError(f"no stage is named {stage!r}", mend=nearest(stage, self.names))
        return self.names.index(stage)


def middle(side: int) -> tuple[int, int]:
    """Where the middle half of `side` positions begins and ends: four equal parts or a few more, less the outer quarters."""
    part = max(1, side // 4)
    left_out = side // part // 4
    return left_out * part, (side // part - left_out) * part


def central_average_pool(maps: Tensor) -> Tensor:
    """(N, C, h, w) to (N, C): the mean over the middle of each side, where the chest is; borders say nothing of it."""
    (top, bottom), (left, right) = (middle(int(side)) for side in maps.shape[2:])
    return maps[:, :, top:bottom, left:right].mean(dim=(2, 3))
