"""Sampling of each part of a split: the balance of the classes, and the size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from cxreader.counting import format_count
from cxreader.data.index import Index
from cxreader.data.salt import PARTS, hashes, image_key, order_key
from cxreader.errors import SplitError
from cxreader.records import ABNORMAL, NORMAL, ImageRecord, group_of

Balance = Literal["equal", "natural", "ratio"]
_ROUNDING = 1e-6
"""0.15 / 2 * 20,000 must be 1,500 whatever the last bit of the product says."""


def wanted_shares(shares: Sequence[float], *, official: bool = False) -> tuple[float, ...]:
    """(train, validation, test) as shares of what is hashed, part by part; the official test part is not hashed."""
    train, validation, test = shares
    if official:
        train, validation, test = train / (train + validation), validation / (train + validation), 0.0
    return (train, validation / 2, validation / 2, test)[: 3 if official else 4]


def require_classes(parts: Mapping[str, Sequence[ImageRecord]], index: Index, *, given_test: bool = False) -> list[str]:
    """Raise SplitError when a part has no normal or no abnormal image: nothing can be fitted or judged on it.

    A test part that is given, by the official lists, is taken as it is: then a note says what it lacks.
    """
    notes = []
    for part, records in parts.items():
        counts = np.bincount([r.label for r in records], minlength=2)
        if min(counts) > 0:
            continue
        what = f"the part {part!r} has {counts[NORMAL]:,} normal and {counts[ABNORMAL]:,} abnormal images here"
        if not (given_test and part == "test"):
            patients = len({group_of(r) for r in index.records})
            raise SplitError(
                f"{what}, of {format_count(patients, '[patient|patients]')} in all",
                where=index.root,
                mend="add images of more patients",
            )
        notes.append(f"{what}: most figures on it will be undefined")
    return notes


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
        classes = {label: [r for r in ranked if r.label == label] for label in (NORMAL, ABNORMAL)}
        if min(map(len, classes.values())) == 0:  # one class cannot be balanced
            drawn[name] = ranked[:room]
            continue
        if balance == "natural":
            n_abnormal = _stratified(room, len(classes[ABNORMAL]), len(ranked))
            drawn[name] = classes[NORMAL][: room - n_abnormal] + classes[ABNORMAL][:n_abnormal]
            continue
        rate = 0.5 if abnormal_share is None else abnormal_share
        total = min(len(classes[ABNORMAL]) / rate, len(classes[NORMAL]) / (1 - rate), room)
        drawn[name] = (
            classes[NORMAL][: int(total * (1 - rate) + _ROUNDING)] + classes[ABNORMAL][: int(total * rate + _ROUNDING)]
        )
    return drawn


def _stratified(room: int, n_abnormal: int, n: int) -> int:
    """How many of `room` images are abnormal where `n_abnormal` of `n` are: their share, and one of each class from two on."""
    share = room * n_abnormal // n
    return min(max(share, 1), room - 1) if room > 1 else share


def shortfalls(
    drawn: Mapping[str, Sequence[ImageRecord]], shares: tuple[float, float, float], size: int | None
) -> list[str]:
    """A note for each part that holds fewer images than the size asks of it."""
    if size is None:
        return []
    wanted = {name: int(size * share + _ROUNDING) for name, share in zip(PARTS, wanted_shares(shares), strict=True)}
    return [
        f"{name}: {format_count(len(drawn[name]), '[image|images]')} instead of {count:,}, there are no more of both classes"
        for name, count in wanted.items()
        if len(drawn[name]) < count - 1
    ]
