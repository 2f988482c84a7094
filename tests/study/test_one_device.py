"""Several trainings are spread over the machine by themselves: each of them has one device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cxreader.config import Config, with_values
from cxreader.errors import UsageError
from cxreader.progress import silent
from cxreader.study.cross_validation import cross_validate
from cxreader.study.learning_rates import sweep
from cxreader.study.search.search import search
from cxreader.study.study import train_rows
from cxreader.study.transfer.learning_curve import learning_curve


@pytest.mark.parametrize(
    ("begin", "what"),
    [
        (lambda config, out: search(config, out, say=silent), "trials of a search"),
        (lambda config, out: train_rows(config, out, say=silent), "trainings of a study"),
        (lambda config, out: sweep(config, [1e-3], 1, out, say=silent), "trainings of a study"),
        (lambda config, out: learning_curve(config, [1.0], 1, out, say=silent), "trainings of a study"),
        (lambda config, out: cross_validate(config, 2, out, say=silent), "trainings of a cross-validation"),
    ],
)
def test_of_many_trainings_each_has_one_device(
    begin: Callable[[Config, Path], object], what: str, small_config: Config, tmp_path: Path
) -> None:
    config = with_values(small_config, {"training.devices": 2})
    with pytest.raises(UsageError, match=rf"^training\.devices: {what} have one device each, not 2; set it to 1"):
        begin(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()
