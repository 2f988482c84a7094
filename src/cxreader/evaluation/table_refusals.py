"""Who is refused, as the column `acceptance` of a table tells it: judged rows, and refused ones without a probability."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxreader.evaluation.decisions.refusals import Refusals, count_refusals
from cxreader.evaluation.prediction_cells import Cells, read_label
from cxreader.evaluation.statistics.intervals import N_RESAMPLES, Sample
from cxreader.findings import value_or_missing
from cxreader.identity import patient_name
from cxreader.records import PredictionTable

ACCEPTANCE, REFUSED = "acceptance", "refused"
_VERDICTS = ("accepted", "warning", REFUSED)


@dataclass(frozen=True, eq=False)
class RefusedRows:
    """The labelled rows (n,) that are refused and hold no probability.

    `label`: 0 or 1; `patient`: by name, each image for itself where none is named; `reasons` of each, in words.
    """

    label: NDArray[np.int8]
    patient: NDArray[np.str_]
    reasons: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def of(cls, cells: Cells) -> RefusedRows:
        """Of the rows of these cells that say so; raises TableError for a label that is none."""
        said = cells.columns.get(ACCEPTANCE, [""] * len(cells))
        labelled = [bool(value_or_missing(text)) for text in cells.columns["label"]]
        found = cells.part(
            [text.strip().lower() == REFUSED and known for text, known in zip(said, labelled, strict=True)]
        )
        texts, images = found.columns, found.columns["image"]
        names = [patient_name(value_or_missing(text)) for text in texts.get("patient", [""] * len(found))]
        return cls(
            np.array([read_label(text, found.at(k, "label")) for k, text in enumerate(texts["label"])], np.int8),
            np.array([name or f"image:{own}" for name, own in zip(names, images, strict=True)], np.str_),
            tuple(map(_several, texts.get("reasons", [""] * len(found)))),
        )


def refused_by_model(cells: Cells, scores: Mapping[str, str], models: Collection[str]) -> dict[str, RefusedRows]:
    """Of each of `models`, the refused rows of a file without a probability.

    `scores`: the column of each model's probabilities, or one under the name "", where a column `model` tells whose row it is if
    the file holds several.
    """
    empty = [
        not any(value_or_missing(cells.columns[name][row]) for name in scores.values()) for row in range(len(cells))
    ]
    of, shared = cells.columns.get("model", [""] * len(cells)), len(models) == 1 or "" not in scores
    return {
        name: RefusedRows.of(
            cells.part([blank and (shared or own == name) for blank, own in zip(empty, of, strict=True)])
        )
        for name in models
    }


def refusals_told(
    table: PredictionTable, others: RefusedRows, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Refusals | None:
    """The refusals among the judged rows of `table` and the `others`; None where no column tells them, or one of other words."""
    if ACCEPTANCE not in table.columns:
        return None
    said = np.char.lower(np.char.strip(np.asarray(table.columns[ACCEPTANCE], np.str_)))
    if not np.isin(said, _VERDICTS).all():
        return None
    own = np.asarray(table.columns.get("reasons", np.full(len(table), "")), np.str_)
    known = table.patient is not None
    patients = table.patient if table.patient is not None else np.array([f"image:{name}" for name in table.image])
    label = np.concatenate([table.label, others.label])
    refused = np.concatenate([said == REFUSED, np.ones(len(others), np.bool_)])
    groups = np.unique(np.concatenate([patients, others.patient]), return_inverse=True)[1]
    reasons = [*map(_several, own.tolist()), *others.reasons]
    return count_refusals(
        refused,
        [why if out else () for why, out in zip(reasons, refused, strict=True)],
        Sample(label, groups, known),
        unanswered=len(others),
        n_resamples=n_resamples,
        seed=seed,
    )


def _several(text: str) -> tuple[str, ...]:
    """The reasons that a table of readings joins by semicolons."""
    return tuple(part for part in (one.strip() for one in text.split(";")) if part)
