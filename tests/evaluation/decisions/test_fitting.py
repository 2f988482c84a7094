from __future__ import annotations

import numpy as np
import pytest

from cxreader.errors import DataError, UsageError
from cxreader.evaluation.decisions.conformal import fit_conformal
from cxreader.evaluation.decisions.fitting import fit_decisions
from cxreader.evaluation.decisions.operating_points import Rule

LABEL = np.tile([0, 1], 10)
# The highest probability is a normal image's: no threshold but one that flags nobody has a specificity of 1.
P = np.where(np.arange(20) == 0, 0.99, np.linspace(0.05, 0.95, 20))


def test_every_wish_is_fitted_on_the_part_in_its_order() -> None:
    found = fit_decisions(LABEL, P, ["youden: youden", "screening: sensitivity 0.9"], 0.2)
    screening = Rule("sensitivity", 0.9).fit("screening", LABEL, P)
    assert found.points == (Rule("youden").fit("youden", LABEL, P), screening)
    assert found.conformal == fit_conformal(LABEL, P, 0.2)
    assert found.notes == ()


def test_what_cannot_be_fulfilled_is_left_out_with_a_note_but_the_first_point_is_needed() -> None:
    found = fit_decisions(LABEL, P, ["youden: youden", "rule-in: specificity 1"], 0.01)
    assert [point.name for point in found.points] == ["youden"]
    assert found.conformal is None
    assert [note.split(":")[0] for note in found.notes] == ["operating point rule-in left out", "no conformal mode"]
    assert fit_decisions(LABEL, P, ["youden: youden"], "none").notes == ()
    with pytest.raises(DataError, match="no threshold has a specificity at least 1"):
        fit_decisions(LABEL, P, ["rule-in: specificity 1", "youden: youden"], "none")
    with pytest.raises(UsageError, match="two operating points are named 'a'"):
        fit_decisions(LABEL, P, ["a: sensitivity 0.9", "a: sensitivity 0.8"], "none")
