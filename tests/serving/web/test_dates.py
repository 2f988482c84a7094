"""DICOM dates and times as the pages tell them: each legal precision, and what is none."""

from __future__ import annotations

import datetime as dt

import pytest

from cxreader.serving.web.pages.dates import date, short

TODAY = dt.date(2026, 12, 1)


@pytest.mark.parametrize(
    ("text", "listed", "told"),
    [
        ("20261130", "30 Nov 2026", "2026-11-30"),
        ("2026113009", "30 Nov 09 h", "2026-11-30 09 h"),
        ("202611300915", "30 Nov 09:15", "2026-11-30 09:15"),
        ("20261130091532", "30 Nov 09:15", "2026-11-30 09:15"),
        ("20261130091532.123456", "30 Nov 09:15", "2026-11-30 09:15"),
        ("20261201091532.1", "09:15", "2026-12-01 09:15"),
        ("2026120109", "09 h", "2026-12-01 09 h"),
        ("20261130235960", "30 Nov 2026", "2026-11-30"),
        ("2026113025", "30 Nov 2026", "2026-11-30"),
        ("202611309", "30 Nov 2026", "2026-11-30"),
        ("20261131", "", "20261131"),
        ("2026.11.30", "", "2026.11.30"),
        ("091532.123456", "", "091532.123456"),
        ("", "", ""),
    ],
)
def test_a_moment_is_told_as_precisely_as_it_came(text: str, listed: str, told: str) -> None:
    assert (short(text, TODAY), date(text)) == (listed, told)
