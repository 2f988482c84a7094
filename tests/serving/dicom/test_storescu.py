"""dcmtk's storescu as a modality: every transfer syntax arrives as it was sent, nothing decoded on the way."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import select
from tests.dicom_files import TOOLS, converted, dataset, encoded, jpeg_2000, picture
from tests.serving.dicom.conftest import Started

from cxreader.serving.dicom.contexts import image_classes, transfer_syntaxes
from cxreader.serving.service import TriageService
from cxreader.serving.store.tables.images import Instance

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),  # pynetdicom's own sockets
]
PROFILE = """\
[[TransferSyntaxes]]
[Own]
TransferSyntax1 = {syntax}
[[PresentationContexts]]
[Own]
PresentationContext1 = 1.2.840.10008.5.1.4.1.1.1.1\\Own
[[Profiles]]
[Own]
PresentationContexts = Own
"""
"""storescu's configuration, by which it proposes one transfer syntax of DX images."""


def files(folder: Path) -> dict[str, bytes]:
    """One file of each transfer syntax, by its UID; each of another patient."""
    made = {}
    for n, (name, tool) in enumerate(TOOLS.items()):
        bits = 8 if "baseline" in name else 12
        plain = dataset(picture(bits, seed=n), bits=bits, PatientID=f"P{n}", StudyInstanceUID=f"1.2.4.{n}")
        data = converted(encoded(plain), folder, *tool)
        made[str(dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID)] = data
    for n, lossy in enumerate((False, True)):
        wanted = dataset(picture(seed=30 + n), PatientID=f"J{n}", StudyInstanceUID=f"1.2.5.{n}")
        data = jpeg_2000(wanted, lossy=lossy)
        made[str(dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID)] = data
    return made


def test_every_image_class_and_transfer_syntax_is_offered_for() -> None:
    classes, syntaxes = set(image_classes()), set(transfer_syntaxes())
    cr, dx, sc, mammography, ct = ("1.1", "1.1.1", "1.7", "1.1.2", "1.2")
    assert {f"1.2.840.10008.5.1.4.1.{one}" for one in (cr, dx, sc, mammography, ct)} <= classes
    assert "1.2.840.10008.5.1.4.1.1.88.33" not in classes
    assert {
        f"1.2.840.10008.1.2{one}" for one in ("", ".1", ".2", ".1.99", ".5", ".4.50", ".4.90", ".4.201")
    } <= syntaxes
    assert "1.2.840.10008.1.2.4.94" not in syntaxes  # JPIP: its pixels lie elsewhere


@pytest.mark.peer
def test_storescu_sends_every_transfer_syntax(service: TriageService, started: Started, tmp_path: Path) -> None:
    if shutil.which("storescu") is None:
        pytest.skip("dcmtk is not installed")
    node, sent = started(), files(tmp_path)
    assert len(sent) >= 12
    for syntax, data in sent.items():
        file = tmp_path / "sent.dcm"
        file.write_bytes(data)
        (tmp_path / "profile").write_text(PROFILE.format(syntax=syntax))
        where = ["-aec", "CXREADER", "127.0.0.1", str(node.port), str(file)]
        command = ["storescu", "-xf", str(tmp_path / "profile"), "Own", *where]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (syntax, done.stderr)
    with service.database.reading() as session:
        kept = session.scalars(select(Instance)).all()
        assert {one.transfer_syntax for one in kept} == set(sent)
        for one in kept:
            before, after = (
                dcmread(io.BytesIO(d)) for d in (sent[one.transfer_syntax], service.objects.get(one.sha256))
            )
            assert after.PixelData == before.PixelData
            assert after.PatientID == before.PatientID


@pytest.mark.peer
def test_echoscu_is_answered(started: Started) -> None:
    if shutil.which("echoscu") is None:
        pytest.skip("dcmtk is not installed")
    where = ["127.0.0.1", str(started().port)]
    assert subprocess.run(["echoscu", "-aec", "CXREADER", *where], capture_output=True, check=False).returncode == 0
    assert subprocess.run(["echoscu", "-aec", "WRONG", *where], capture_output=True, check=False).returncode != 0
