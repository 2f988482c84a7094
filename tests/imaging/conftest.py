"""Programs that the reading of DICOM is compared with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def dcmtk(tmp_path: Path) -> Path:
    """A folder to work in; the test is skipped, with its reason, on a machine without dcmtk."""
    if shutil.which("dcm2pnm") is None:
        pytest.skip("no dcmtk here")
    return tmp_path


@pytest.fixture
def openjpeg(tmp_path: Path) -> Path:
    """A folder to work in; the test is skipped, with its reason, on a machine without OpenJPEG's programs."""
    if shutil.which("opj_decompress") is None:
        pytest.skip("no opj_decompress here")
    return tmp_path
