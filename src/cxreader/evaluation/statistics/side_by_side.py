"""Several readers on the same resamples of patients: each alone, and one minus another, paired.

A row is one reader's statistic. Rows are known by their place, for a name may be any text: `auc 0` is the first row's AUC,
`auc 0 1` that of the first minus that of the second.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.statistics.intervals import Statistic, Weights

Floats = NDArray[np.float64]


def value_name(metric: str, *rows: int) -> str:
    """The name of a metric of one row, or of the first of two rows minus the second."""
    return " ".join([metric, *map(str, rows)])


def side_by_side(rows: Sequence[Statistic], pairs: Collection[tuple[int, int]], metrics: Collection[str]) -> Statistic:
    """The statistic of everything that each row computes, and of the differences of `metrics` in each pair of rows.

    Named by `value_name`. Each row is computed once for a block of resamples, however many pairs it stands in.
    """

    def statistic(weight: Weights) -> dict[str, Floats]:
        each = [row(weight) for row in rows]
        values = {value_name(name, k): value for k, row in enumerate(each) for name, value in row.items()}
        return values | {value_name(m, i, j): each[i][m] - each[j][m] for i, j in pairs for m in metrics}

    return statistic


def mean_of(statistics: Sequence[Statistic]) -> Statistic:
    """The mean of several statistics that compute the same names, name by name; NaN where one of them is."""

    def statistic(weight: Weights) -> dict[str, Floats]:
        total: dict[str, Floats] = {}
        for one in statistics:
            for name, value in one(weight).items():
                total[name] = total[name] + value if name in total else value
        return {name: value / len(statistics) for name, value in total.items()}

    return statistic
