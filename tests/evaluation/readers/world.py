"""Readings in memory."""

from __future__ import annotations

import numpy as np

from cxreader.evaluation.readers.readings import Readings


def readings_of(
    votes: np.ndarray | None = None, scores: np.ndarray | None = None, truth: np.ndarray | None = None
) -> Readings:
    """Votes (r, n) or (m, r, n), or scores (m, r, n), of readers a, b, ... under modalities x, y, ..."""
    if votes is None:
        assert scores is not None
        votes = np.full(scores.shape, -1)
    label = votes if votes.ndim == 3 else votes[None]
    m, r, n = label.shape
    return Readings(
        image=np.array([str(k) for k in range(n)]),
        reader=tuple("abcdefgh"[:r]),
        modality=tuple("xyz"[:m]),
        label=label.astype(np.int8),
        score=np.full(label.shape, np.nan) if scores is None else scores.astype(np.float64),
        truth=np.full(n, -1, np.int8) if truth is None else truth.astype(np.int8),
    )
