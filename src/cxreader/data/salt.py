"""The salted hash that assigns patients to parts, and the search for a salt whose parts have the wanted shares."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxreader.records import ImageRecord

PARTS = ("train", "tune", "calibrate", "test")
MAX_SALTS = 10_000
SHARE_TOLERANCE = 0.01
RATE_TOLERANCE = 0.03
_GOLDEN = 0x9E3779B97F4A7C15
_ORDER = np.uint64(0xA0761D6478BD642F)
_CELLS = 2_000_000
"""Salts times patients tried at once: 16 MB."""


def image_key(record: ImageRecord) -> str:
    """The image, across sources."""
    return f"{record.source}\x1fimage:{record.image}"


def hashes(names: Sequence[str]) -> NDArray[np.uint64]:
    """(n,) uint64: BLAKE2b of each name."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def mix(numbers: NDArray[np.uint64], salts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Splitmix64 (Steele, Lea and Flood, OOPSLA 2014) of number and salt, broadcast against each other."""
    z = numbers + (salts + np.uint64(1)) * np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)


def order_key(numbers: NDArray[np.uint64], salt: int) -> NDArray[np.uint64]:
    """(n,) uint64: the order in which surplus is dropped; independent of the part that the same hash gives."""
    return mix(numbers ^ _ORDER, np.array([salt], np.uint64))


def assign(numbers: NDArray[np.uint64], salt: int, wanted: Sequence[float]) -> NDArray[np.int64]:
    """(n,) int64: the part of each, counted in `PARTS`; `wanted` are the parts' shares, summing to 1."""
    mixed = mix(numbers, np.array([salt], np.uint64))
    return np.asarray(np.searchsorted(_edges(wanted), mixed, side="right"), np.int64)


def find_salt(
    numbers: NDArray[np.uint64],
    images: NDArray[np.int64],
    abnormal: NDArray[np.int64],
    wanted: Sequence[float],
    *,
    fixed: int | None = None,
    stratified: bool = False,
    who: str = "patients",
) -> tuple[int, str | None]:
    """The first salt that fits, else the nearest of 10,000 with a note that says how far off it is.

    `numbers`, `images`, `abnormal`: (n,) hash, image count and abnormal count of each patient. It fits when the image
    shares of train, validation and test are within 1 point of the wanted ones, their label rates within 3 points of the
    whole's, and every part has both classes. `stratified`: the label rates of tune and of calibrate each for itself, and
    all of them also within half the rarer class's share. With `fixed` that salt is judged and returned. `who` are shared out, for
    the note.
    """
    counts = np.stack([images, abnormal], axis=1).astype(np.float32)  # exact: sums stay below 2**24
    step = max(1, _CELLS // max(1, len(numbers)))
    nearest = (np.inf, 0, "")
    at = 0 if fixed is None else fixed
    end = MAX_SALTS if fixed is None else fixed + 1
    width = min(step, 16)
    rarer = min(abnormal.sum(), images.sum() - abnormal.sum()) / max(1, images.sum())
    tolerance = min(RATE_TOLERANCE, max(rarer / 2, 1e-6)) if stratified else RATE_TOLERANCE
    while at < end:
        salts = np.arange(at, min(at + width, end), dtype=np.uint64)
        share, rate, lacking = _deviations(numbers, counts, wanted, salts, stratified=stratified)
        fits = (share <= SHARE_TOLERANCE) & (rate <= tolerance) & (lacking == 0)
        if fits.any():
            return int(salts[np.argmax(fits)]), None
        score = np.maximum(share / SHARE_TOLERANCE, rate / tolerance) + 1000 * lacking
        best = int(np.argmin(score))
        if score[best] < nearest[0]:
            far = f"part shares up to {100 * share[best]:.1f} points off, label rates up to {100 * rate[best]:.1f}"
            nearest = (float(score[best]), int(salts[best]), far)
        at, width = at + width, min(step, width * 4)
    tried = f"no salt of {MAX_SALTS:,} fits so few {who}" if fixed is None else "the kept salt fits less well now"
    return nearest[1], f"{tried}: {nearest[2]}"


def _deviations(
    numbers: NDArray[np.uint64],
    counts: NDArray[np.float32],
    wanted: Sequence[float],
    salts: NDArray[np.uint64],
    *,
    stratified: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """For each salt (k,): the largest miss of a share, of a label rate, and how many parts lack a class."""
    mixed = mix(numbers[None, :], salts[:, None])
    below = [(mixed < edge).astype(np.float32) @ counts for edge in _edges(wanted)]
    whole = np.broadcast_to(counts.sum(0), (len(salts), 2))
    cumulative = np.stack([np.zeros_like(whole), *below, whole], axis=1).astype(np.float64)
    parts = np.diff(cumulative, axis=1)  # (k, parts, 2)
    lacking = ((parts[..., 1] == 0) | (parts[..., 1] == parts[..., 0])).sum(1)
    groups = np.stack([parts[:, 0], parts[:, 1] + parts[:, 2], *parts[:, 3:].swapaxes(0, 1)], axis=1)
    aims = np.array([wanted[0], wanted[1] + wanted[2], *wanted[3:]])
    share = np.abs(groups[..., 0] / max(whole[0, 0], 1) - aims).max(1)
    groups = parts if stratified else groups  # tune and calibrate each for itself
    rates = np.divide(groups[..., 1], groups[..., 0], out=np.full(groups.shape[:2], np.inf), where=groups[..., 0] > 0)
    rate = np.abs(rates - whole[0, 1] / max(whole[0, 0], 1)).max(1)
    return share, rate, lacking


def _edges(wanted: Sequence[float]) -> NDArray[np.uint64]:
    """Where on the scale of uint64 each part but the last ends."""
    return np.array([int(total * 2**64) for total in np.cumsum(wanted)[:-1].tolist()], np.uint64)
