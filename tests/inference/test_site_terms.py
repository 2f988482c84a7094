"""A site's words in the headers: from the file to the verdict, and beside the readings."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from tests.assessment.shortcut_world import Patches, make_reader
from tests.dicom_files import dataset, encoded, picture

from cxreader.cli import run
from cxreader.errors import UsageError
from cxreader.imaging.vocabulary.site_terms import SiteTerms
from cxreader.inference.batch.pipeline import read_shard
from cxreader.inference.batch.read_files import read_files, read_rest
from cxreader.inference.batch.work import Work
from cxreader.inference.explain import explain_files
from cxreader.inference.reader import Reader

SITE = SiteTerms.from_dict({"view": {"stehend": "PA", "sonderfall 2": "LATERAL"}})


@pytest.fixture(scope="module")
def own() -> Reader:
    return make_reader(Patches())


def shot(view: str) -> Dataset:
    return dataset(np.tile(picture(noise=0.05), (2, 2)), ViewPosition=view, WindowCenter=2048, WindowWidth=4096)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, view in (("a", "STEHEND"), ("b", "PA"), ("c", "SONDERFALL_2")):
        (tmp_path / f"{name}.dcm").write_bytes(encoded(shot(view)))
    return [str(tmp_path / f"{name}.dcm") for name in "abc"]


def verdicts(table: Path) -> list[str]:
    with table.open(newline="") as file:
        return [row["acceptance"] for row in csv.DictReader(file)]


def test_words_of_a_site_judge_headers_wherever_a_reader_reads(own: Reader, files: list[str], tmp_path: Path) -> None:
    site = Reader(own.members, site=SITE)
    for reader, expected in ((own, ["warning", "accepted", "warning"]), (site, ["accepted", "accepted", "refused"])):
        assert [reading.acceptance for reading in reader.read_many(files)] == expected
        assert [reader.read(file, heat_map=False).acceptance for file in files] == expected
        read_files(reader, files, tmp_path / "t.csv")
        assert verdicts(tmp_path / "t.csv") == expected


def test_the_words_lie_beside_the_table_as_long_as_they_judged_it(
    own: Reader, files: list[str], tmp_path: Path
) -> None:
    beside = tmp_path / "t.csv.terms.toml"
    read_files(Reader(own.members, site=SITE), files, tmp_path / "t.csv")
    assert SiteTerms.load(beside).to_dict() == SITE.to_dict()
    read_files(own, files, tmp_path / "t.csv")
    assert not beside.exists()


def test_a_reading_that_was_begun_with_other_words_is_not_taken_up(
    own: Reader, files: list[str], tmp_path: Path
) -> None:
    site = Reader(own.members, site=SITE)
    with Work.open(tmp_path / "t.csv", site, files) as work:
        assert work.journal.manifest()["terms"] == SITE.to_dict()
    for other in (own, Reader(own.members, site=SiteTerms.from_dict({"view": {"stehend": "AP"}}))):
        with pytest.raises(UsageError, match="is of other words of a site; give another --out, or begin anew"):
            read_files(other, files, tmp_path / "t.csv")
    with Work.open(tmp_path / "t.csv", site, files) as work:
        read_rest(work, partial(read_shard, site))


def test_heat_maps_are_refused_by_them_too(small_run: Path, files: list[str], tmp_path: Path) -> None:
    reader = Reader.load(small_run, site=SITE).with_maps()
    refused = [reading for reading, _ in explain_files(reader, files, tmp_path / "maps")][2]
    assert refused.reasons == ("the header says view LATERAL: only AP, PA are read",)


def test_the_command_line_takes_them(
    small_run: Path, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    terms = tmp_path / "words.toml"
    terms.write_text(SITE.to_toml())
    table = tmp_path / "t.csv"
    model = ["--model", str(small_run)]
    assert run(["-q", "read", *model, "--terms", str(terms), "--out", str(table), *files]) == 0
    assert verdicts(table)[2] == "refused"
    assert (tmp_path / "t.csv.terms.toml").exists()
    terms.write_text("[view]\n'A' = 'LATERALL'")
    for command in ("read", "explain"):
        assert run(["-q", command, *model, "--terms", str(terms), *files]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "'LATERALL' is no term of the standard" in said
        assert "did you mean 'LATERAL'?" in said
