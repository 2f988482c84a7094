"""Who may call, and how a node may not be set up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cxreader.errors import ConfigError
from cxreader.serving.dicom.admission import check, may_call
from cxreader.serving.settings import DicomSection, Settings

PEER = {"ae_title": "CT1", "addresses": ("10.1.2.0/24", "10.9.9.9")}


@pytest.mark.parametrize(
    ("title", "address", "let_in"),
    [
        ("CT1", "10.1.2.77", True),
        ("CT1", "10.9.9.9", True),
        ("CT1", "10.1.3.77", False),
        ("CT1", "127.0.0.1", False),
        ("CT2", "10.1.2.77", False),
    ],
)
def test_title_and_address_must_both_be_known(title: str, address: str, *, let_in: bool) -> None:
    assert may_call(DicomSection.model_validate({"peers": (PEER,)}), title, address) is let_in


def test_without_peers_this_machine_alone_may_call() -> None:
    section = DicomSection()
    assert may_call(section, "ANY", "127.0.0.1")
    assert may_call(section, "ANY", "::1")
    assert not may_call(section, "ANY", "10.1.2.77")


def settings(home: Path, **dicom: Any) -> Settings:
    return Settings.load(home, dicom=dicom)


@pytest.mark.parametrize(
    ("dicom", "word"),
    [
        ({"host": "0.0.0.0"}, "to anybody"),  # noqa: S104 - what is refused
        ({"host": "0.0.0.0", "peers": (PEER,)}, "without TLS"),  # noqa: S104
        ({"peers": ({"ae_title": "CT1", "addresses": ("10.1.2.300",)},)}, "is no address"),
        ({"tls": {"certificate": "absent.pem"}}, "not set up whole"),
        ({"peers": (PEER | {"tls": True},)}, "by TLS, without a certificate"),
    ],
)
def test_what_would_be_open_or_is_half_a_set_up_is_refused(tmp_path: Path, dicom: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        check(settings(tmp_path, **dicom))
    check(settings(tmp_path, **dicom, enabled=False))


def test_beyond_this_machine_it_may_listen_to_peers_in_a_network_that_is_trusted(tmp_path: Path) -> None:
    check(settings(tmp_path, host="0.0.0.0", peers=(PEER,), plain=True))  # noqa: S104


@pytest.mark.parametrize("title", ["", "   ", "SEVENTEEN_LETTERS", "BACK\\SLASH"])
def test_what_is_no_ae_title_is_refused(tmp_path: Path, title: str) -> None:
    with pytest.raises(ConfigError):
        settings(tmp_path, ae_title=title)
