"""Names of patients: what is one, what stays two, and what is refused."""

from __future__ import annotations

import pytest

from cxreader.identity import other_spellings, patient_name, without_zeros, zero_twins


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((text, "12") for text in ("12", " 12", "12 ", "12.0", "12.", "12,0", "12.00", "12\0", "1.2e+01")),
        *(("00012", "00012"), ("00012.0", "00012"), ("0", "0"), ("0.0", "0"), ("", ""), ("  ", "")),
        *(
            (text, text)
            for text in ("P12", "p12", "12.5", "1.2.840.0", "12,000", "12.000", "-12.0", "12a", "1.0e", "A.0")
        ),
        ("image:a.png", "image:a.png"),
        ("Mu\u0308ller", "M\u00fcller"),
        ("9007199254740993.0", "9007199254740993"),
        ("8.398604886942923e+35", "8.398604886942923e+35"),
    ],
)
def test_one_patient_has_one_name(text: str, name: str) -> None:
    assert patient_name(text) == name
    assert patient_name(name) == name


def test_names_that_differ_by_leading_zeros_are_counted() -> None:
    assert zero_twins(["1", "01", "2", "2", "P1", "P01"]) == 1
    assert zero_twins(["00", "0", "000"]) == 2
    assert zero_twins(["01", "02", "3"]) == 0
    assert zero_twins(["01", "2", "03"], ["1", "2", "4"]) == 1
    assert zero_twins(["1"], ["1", "01"]) == 0
    assert (without_zeros("0012"), without_zeros("000"), without_zeros("P012")) == ("12", "0", "P012")


def test_other_spellings_of_a_number() -> None:
    assert {"12", "0012", "000000000012"} <= set(other_spellings("012"))
    assert "012" not in other_spellings("012")
    assert other_spellings("P12") == ()
