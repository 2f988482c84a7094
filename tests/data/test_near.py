"""Near duplicates: a pair counts above the threshold and not below it, by the correlation that NumPy computes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cxreader.data.near import SIDE, near_pairs


def _pair(deviation: float) -> NDArray[np.uint8]:
    """One smooth picture twice, each with noise of its own, which lies beyond the coefficients that the hash sees."""
    rng, slope = np.random.default_rng(0), np.linspace(60, 190, SIDE)
    smooth = np.add.outer(slope, slope) / 2
    noise = rng.normal(0, deviation, (2, SIDE, SIDE))
    return np.clip(np.rint(smooth + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("deviation", "counts"), [(3.0, True), (5.5, False), (7.0, False)])
def test_a_pair_counts_above_the_threshold_alone(deviation: float, counts: bool) -> None:
    small = _pair(deviation)
    expected = float(np.corrcoef(small.reshape(2, -1).astype(np.float64))[0, 1])
    assert 0.93 < expected < 0.995
    assert (expected > 0.98) == counts
    part = np.array([0, 3], np.int64)
    assert near_pairs(small, part).pairs.tolist() == [[0, 1]] * counts
    found = near_pairs(small, part, threshold=0.9)
    assert found.pairs.tolist() == [[0, 1]]
    assert found.correlation[0] == pytest.approx(expected, abs=1e-5)
    assert not len(near_pairs(small, part, threshold=expected + 1e-4).pairs)


def test_images_of_one_part_are_no_pair() -> None:
    small = _pair(3.0)
    assert near_pairs(small, np.zeros(2, np.int64)).proposed == 0
