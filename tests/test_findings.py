from __future__ import annotations

import pytest

from cxreader.errors import TableError
from cxreader.findings import FINDINGS, canonical, parse_findings


def test_the_fourteen_in_the_releases_spelling() -> None:
    names = [f.name for f in FINDINGS]
    assert len(names) == len(set(names)) == 14
    assert {"Pleural_Thickening", "Infiltration", "Edema"} <= set(names)
    assert len({f.code for f in FINDINGS}) == 14


def test_cells_are_split_exactly() -> None:
    assert parse_findings("No Finding") == ()
    assert parse_findings("Mass|Pneumothorax") == ("Mass", "Pneumothorax")
    assert parse_findings("Infiltrate|Infiltration") == ("Infiltration",)


@pytest.mark.parametrize("cell", ["", "Mas", "mass", "Mass,Nodule", "No Finding|Mass", "Mass|"])
def test_anything_else_is_an_error_that_names_the_row(cell: str) -> None:
    with pytest.raises(TableError, match=r"table\.csv, row 7"):
        parse_findings(cell, where="table.csv, row 7")


def test_known_aliases_are_one_table() -> None:
    assert canonical("Infiltrate") == "Infiltration"
    assert canonical("Pleural Thickening") == "Pleural_Thickening"
