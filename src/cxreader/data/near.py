"""Near duplicates: a perceptual hash proposes pairs in bands, the correlation of two thumbnails decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""Pixels of a thumbnail's side."""
THRESHOLD = 0.98
"""Pearson correlation of two thumbnails above which two images count as one."""
BITS, BAND = 192, 12
"""Bits of the hash and of each of its 16 bands: on radiographs a band proposes about 1 pair in 2,000."""
ALL_PAIRS_BELOW = 512
"""Among so few images a median means nothing, and all pairs cost nothing."""
CAP = 256
"""Images of one bucket that each image is compared with; more would be nearly all pairs again."""
_BLOCK = 200_000


@dataclass(frozen=True, eq=False)
class NearPairs:
    """`pairs` (k, 2) int64, their `correlation` (k,), how many were `proposed`, and whether a bucket was `capped`."""

    pairs: NDArray[np.int64]
    correlation: NDArray[np.float64]
    proposed: int
    capped: bool


def near_pairs(
    small: NDArray[np.uint8], part: NDArray[np.int64], *, threshold: float = THRESHOLD, cap: int = CAP
) -> NearPairs:
    """Pairs of thumbnails (n, 64, 64) of different `part` (n,) whose Pearson correlation is above `threshold`.

    The hash is the sign of the 192 lowest cosine coefficients of the standardised thumbnail (no brightness, no
    contrast) about each coefficient's median over all images: what all chests share is left out, so that the bits are
    balanced.
    Two images are proposed when 12 bits of one band agree. An upper bound of the correlation from the coefficients
    alone then drops most of them, none of which could count.
    """
    low = _coefficients(small)
    rest = np.sqrt(np.maximum(0, 1 - np.einsum("nk,nk->n", low, low)))
    seen: list[NDArray[np.int64]] = []
    proposed, capped = 0, False
    for first, second, full in _proposals(low, cap):
        capped |= full
        apart = np.flatnonzero(part[first] != part[second])
        proposed += len(apart)
        for at in range(0, len(apart), _BLOCK):
            a, b = first[apart[at : at + _BLOCK]], second[apart[at : at + _BLOCK]]
            bound = np.einsum("nk,nk->n", low[a], low[b]) + rest[a] * rest[b]
            seen.append(np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1)[bound > threshold])
    pairs = np.unique(np.concatenate([np.empty((0, 2), np.int64), *seen]), axis=0)
    blocks = (pairs[at : at + 1024] for at in range(0, len(pairs), 1024))
    found = [np.einsum("nk,nk->n", _unit(small[block[:, 0]]), _unit(small[block[:, 1]])) for block in blocks]
    correlation = np.concatenate([np.empty(0), *found]).clip(-1, 1)
    counts = correlation > threshold
    return NearPairs(pairs[counts], correlation[counts], proposed, capped)


def _proposals(low: NDArray[np.float32], cap: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], bool]]:
    """Positions of pairs in one bucket, and whether a bucket was larger than the cap."""
    n = len(low)
    if n <= ALL_PAIRS_BELOW:
        first, second = np.triu_indices(n, 1)
        yield first.astype(np.int64), second.astype(np.int64), False
        return
    bits = low > np.median(low, axis=0)
    shuffled = np.random.default_rng(0).permutation(BITS)  # neighbouring frequencies are not alike in one band
    weights = 1 << np.arange(BAND)
    for band in range(0, BITS, BAND):
        key = bits[:, shuffled[band : band + BAND]] @ weights
        order = np.lexsort((low[:, 0], key)).astype(np.int64)
        key = key[order]
        for step in range(1, n):
            same = np.flatnonzero(key[step:] == key[:-step])
            if not len(same):
                break
            if step > cap:
                yield order[:0], order[:0], True
                break
            yield order[same], order[same + step], False


def _unit(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    flat = small.reshape(len(small), -1).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(length, 1e-6), np.float32)  # a blank image correlates with nothing


def _coefficients(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 192) float32: the lowest coefficients of the orthonormal cosine transform of the unit thumbnails."""
    from scipy.fft import dctn

    lowest = sorted(((y, x) for y in range(SIDE) for x in range(SIDE) if y + x), key=lambda p: (p[0] + p[1], p[0]))
    y, x = np.array(lowest[:BITS]).T
    low = np.empty((len(small), BITS), np.float32)
    for at in range(0, len(small), 1024):
        unit = _unit(small[at : at + 1024]).reshape(-1, SIDE, SIDE)
        low[at : at + 1024] = dctn(unit, axes=(1, 2), norm="ortho")[:, y, x]
    return low
