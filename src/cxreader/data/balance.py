"""What is drawn from each part: the balance of the classes, and the size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from cxreader.data.index import Index
from cxreader.data.salt import PARTS, group_of, hashes, image_key, order_key
from cxreader.errors import SplitError
from cxreader.records import ABNORMAL, NORMAL, ImageRecord

Balance = Literal["equal", "natural", "ratio"]
_ROUNDING = 1e-6
"""0.15 / 2 * 20,000 must be 1,500 whatever the last bit of the product says."""


def wanted_shares(shares: Sequence[float], *, official: bool = False) -> tuple[float, ...]:
    """(train, validation, test) as shares of what is hashed, part by part; the official test part is not hashed."""
    train, validation, test = shares
    if official:
        train, validation, test = train / (train + validation), validation / (train + validation), 0.0
    return (train, validation / 2, validation / 2, test)[: 3 if official else 4]


def require_classes(parts: Mapping[str, Sequence[ImageRecord]], index: Index) -> None:
    """Raise SplitError when a part has no normal or no abnormal image: nothing can be fitted or judged on it."""
    for part, records in parts.items():
        if len({r.label for r in records}) < 2:
            counts = np.bincount(index.labels, minlength=2)
            raise SplitError(
                f"the part {part!r} would lack a class: {counts[0]:,} normal and {counts[1]:,} abnormal images of "
                f"{len({group_of(r) for r in index.records}):,} patients are too few for four parts",
                where=index.root,
                mend="add images of more patients",
            )


def draw(
    parts: Mapping[str, list[ImageRecord]],
    salt: int,
    shares: tuple[float, float, float],
    balance: Balance,
    abnormal_share: float | None,
    size: int | None,
) -> dict[str, list[ImageRecord]]:
    """From each part, in hash order, as many of each class as the balance and the size allow."""
    drawn = {}
    for name, share in zip(PARTS, wanted_shares(shares), strict=True):
        order = order_key(hashes([image_key(r) for r in parts[name]]), salt)
        ranked = [parts[name][n] for n in np.argsort(order, kind="stable")]
        room = len(ranked) if size is None else min(len(ranked), int(size * share + _ROUNDING))
        if balance == "natural":
            drawn[name] = ranked[:room]
            continue
        rate = 0.5 if abnormal_share is None else abnormal_share
        classes = {label: [r for r in ranked if r.label == label] for label in (NORMAL, ABNORMAL)}
        total = min(len(classes[ABNORMAL]) / rate, len(classes[NORMAL]) / (1 - rate), room)
        drawn[name] = (
            classes[NORMAL][: int(total * (1 - rate) + _ROUNDING)] + classes[ABNORMAL][: int(total * rate + _ROUNDING)]
        )
    return drawn


def shortfalls(
    drawn: Mapping[str, Sequence[ImageRecord]], shares: tuple[float, float, float], size: int | None
) -> list[str]:
    """A note for each part that holds fewer images than the size asks of it."""
    if size is None:
        return []
    wanted = {name: int(size * share + _ROUNDING) for name, share in zip(PARTS, wanted_shares(shares), strict=True)}
    return [
        f"{name}: {len(drawn[name]):,} images instead of {count:,}, there are no more of both classes"
        for name, count in wanted.items()
        if len(drawn[name]) < count - 1
    ]
