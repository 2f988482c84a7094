"""The ranking of trials, and reasons that may be kept."""

from __future__ import annotations

from tests.study.search.world import complete_trial

from cxreader import torch_setup  # noqa: F401

# isort: split

from cxreader.study.search.record import rank, reason_of


def test_ties_go_to_the_lower_loss_then_the_earlier_point() -> None:
    trials = [
        complete_trial(1, 0.8),
        complete_trial(2, 0.9, 0.4),
        complete_trial(3, 0.9, 0.3),
        complete_trial(4, 0.9, 0.3),
    ]
    assert [trial.number for trial in rank(trials, lower_is_better=False)] == [3, 4, 2, 1]
    assert [trial.number for trial in rank(trials, lower_is_better=True)] == [1, 3, 4, 2]


def test_reasons_name_no_file_of_a_patient() -> None:
    from cxreader.errors import ImageError

    assert "p17" not in reason_of(ImageError("is torn", where="/data/p17/a.png"))
    assert reason_of(FileNotFoundError(2, "No such file or directory", "/data/p17/a.png")) == (
        "FileNotFoundError: No such file or directory"
    )
    assert reason_of(ValueError("one\ntwo")) == "ValueError: one"
