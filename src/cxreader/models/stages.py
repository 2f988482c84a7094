"""The idea of the house: a network is an ordered sequence of named stages.

Freezing says where the cut is, Grad-CAM takes the gradient of what stands behind the last spatial stage, and neither
needs hooks, name patterns or special cases.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from cxreader.errors import ModelError, nearest

TAIL = ("last_block", "pool", "drop", "head")
"""How every network ends: the last block that learns in fine-tuning, vectors, dropout, the linear classifier."""

Learn = str
"""What learns: `head`, `last_block`, `all`, or the name of the first stage that does."""


class StagedModel(nn.Sequential):
    """Named stages in order, (N, 3, H, W) float32 in, (N, 2) logits out (normal, abnormal).

    `cut` is the first stage that learns: everything before it is frozen, parameters and BatchNorm statistics alike.
    `to_maps`: from what comes out of a stage before the vectors to a spatial map (N, C, h, w). `published_names`: this state
    dict's keys -> those of the published network's files, where the two differ. Raises ModelError when the stages do not end
    in last_block, pool, drop, head, or `drop` is no Dropout.
    """

    def __init__(self, stages: Iterable[tuple[str, nn.Module]]) -> None:
        ordered = OrderedDict(stages)
        super().__init__(ordered)
        self.names = tuple(ordered)
        self.cut, self.batch_statistics = self.names[0], True
        self.to_maps: Callable[[Tensor], Tensor] = spatial_maps
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
        """What comes out of `stage`, spatial or tokens, and features (N, D) of every stage up to it.

        The features are the means of each stage's channels over the middle of its map (`central_average_pool` of `to_maps`),
        stage after stage; D is the number of channels of all of them.
        """
        output, features, _ = self.observed(x, stage)
        return output, features

    def observed(self, x: Tensor, stage: str, keep: Sequence[str] = ()) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As `maps_and_features`, and the maps (N, C, h, w) of the stages `keep`, in their order, none behind `stage`."""
        means, kept = [], {}
        for name, output in zip(self.names, self.each_until(x, stage), strict=False):
            maps = self.to_maps(output)
            means.append(central_average_pool(maps))
            if name in keep:
                kept[name] = maps
        return output, torch.cat(means, dim=1), [kept[name] for name in keep]

    def after(self, x: Tensor, stage: str) -> Tensor:
        """The logits, given what came out of `stage`: x runs through everything behind it."""
        for name in self.names[self._position(stage) + 1 :]:
            x = self.get_submodule(name)(x)
        return x

    def cut_of(self, learn: Learn) -> str:
        """Where `learn` puts the cut: `head` freezes all up to the vectors, `all` nothing, a stage's name all before that stage.

        Raises ModelError with the nearest name.
        """
        known = {**{name: name for name in self.names[:-2]}, "head": "drop", "all": self.names[0]}
        if learn not in known:
            raise ModelError(f"no stage is named {learn!r}", mend=nearest(learn, known))
        return known[learn]

    def frozen_stage(self, learn: Learn | None = None) -> str | None:
        """The last frozen stage, None when every stage learns; with `learn` the one that would be the last there."""
        position = self._position(self.cut if learn is None else self.cut_of(learn))
        return self.names[position - 1] if position else None

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 2). No gradient is kept for the frozen stages."""
        frozen = self.frozen_stage()
        if frozen is None:
            return self.after(self.until(x, self.names[0]), self.names[0])
        with torch.no_grad():
            x = self.until(x, frozen)
        return self.after(x, frozen)

    def learn(self, what: Learn, *, batch_statistics: bool = True) -> Self:
        """Move the cut to `cut_of(what)`: what stands before it has no gradient and stays in evaluation mode.

        Without `batch_statistics` every BatchNorm normalises by the mean and variance it has, and does not change them: those
        of a few images are noise. Its scale and shift learn all the same.
        """
        self.cut, self.batch_statistics = self.cut_of(what), batch_statistics
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
        if mode and not self.batch_statistics:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm):
                    module.eval()
        return self

    def _position(self, stage: str) -> int:
        if stage not in self.names:
            raise ModelError(f"no stage is named {stage!r}", mend=nearest(stage, self.names))
        return self.names.index(stage)


def spatial_maps(output: Tensor) -> Tensor:
    """The output of a stage that gives maps (N, C, h, w), as it is."""
    return output


def token_maps(output: Tensor) -> Tensor:
    """Tokens (N, T, C) as the map (N, C, h, h) of a square image's patches, row by row; a map (N, C, h, w) as it is.

    The patches are the last h * h tokens, of the largest such square that fits; class and register tokens stand before them.
    """
    if output.ndim == 4:
        return output
    side = math.isqrt(int(output.shape[1]))
    patches = output[:, int(output.shape[1]) - side * side :]
    return patches.transpose(1, 2).reshape(-1, int(output.shape[2]), side, side)


def middle(side: int) -> tuple[int, int]:
    """Begin and end (excluded) of the middle half of `side` positions: of four equal parts or a few more, the inner ones."""
    part = max(1, side // 4)
    left_out = side // part // 4
    return left_out * part, (side // part - left_out) * part


def central_average_pool(maps: Tensor) -> Tensor:
    """The mean of maps (N, C, h, w) over the `middle` of both sides, where a chest radiograph shows the chest: (N, C)."""
    (top, bottom), (left, right) = (middle(int(side)) for side in maps.shape[2:])
    return maps[:, :, top:bottom, left:right].mean(dim=(2, 3))
