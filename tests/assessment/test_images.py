"""Judging decodes every image once, and all that is asked of the images afterwards is asked of those pixels."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxreader.assessment.artifact import judge
from cxreader.assessment.cohort import cohort_of_run
from cxreader.assessment.images import read_once
from cxreader.errors import StorageError
from cxreader.imaging import raster
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.read import read
from cxreader.inference.reader import Reader
from cxreader.progress import no_bar

pytestmark = pytest.mark.usefixtures("pdf_left_empty")


def test_judging_with_all_its_questions_decodes_every_test_image_once(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: Counter[str] = Counter()
    decode = raster.decode

    def counted(data: bytes, kind: str, label: str, *more: Any) -> Any:
        decoded[label] += 1
        return decode(data, kind, label, *more)

    monkeypatch.setattr(raster, "decode", counted)
    cohort = cohort_of_run(small_run)
    judge(Reader.load(small_run), cohort, tmp_path, bar=no_bar)
    assert (tmp_path / "contact_sheet.png").exists()
    assert decoded == dict.fromkeys((str(record.path) for record in cohort.records), 1)


def test_the_pixels_are_what_the_network_is_shown_and_unreadable_files_have_none(
    small_run: Path, tmp_path: Path
) -> None:
    reader = Reader.load(small_run)
    one, two, three = cohort_of_run(small_run).records[:3]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    records = [one, replace(two, path=str(broken)), three]
    with read_once(reader, records, bar=no_bar, display=InputSpec(40)) as images:
        assert [reading.acceptance is None for reading in images.readings] == [False, True, False]
        assert images.records == (one, three)
        expected = [reader.artifact.spec.pixels(read(str(record.path))) for record in (one, three)]
        np.testing.assert_array_equal(images.pixels, expected)
        np.testing.assert_array_equal(images.of([three, one]), expected[::-1])
        wrong = {
            record.image
            for record, reading in zip(records, images.readings, strict=True)
            if reading.decision is not None and (reading.decision == "abnormal") != (record.label == 1)
        }
        assert set(images.contradicted) == wrong
        for name, pixels in images.contradicted.items():
            path = next(str(record.path) for record in records if record.image == name)
            np.testing.assert_array_equal(pixels, InputSpec(40).pixels(read(path)))
        with pytest.raises(KeyError):
            images.of([records[1]])


def test_no_room_for_the_pixels_is_one_clear_line(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, records = Reader.load(small_run), cohort_of_run(small_run).records
    usual = Path.open
    monkeypatch.setattr(Path, "open", lambda p, *how: usual(Path("/dev/full") if p.suffix == ".u8" else p, *how))
    with pytest.raises(StorageError, match=r"no room for the [\d,]+ bytes"), read_once(reader, records, bar=no_bar):
        pytest.fail("nothing was read")
