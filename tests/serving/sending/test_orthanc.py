"""The whole round with Orthanc: it sends by its modality route, takes results by C-STORE and STOW-RS, and finds them again."""

from __future__ import annotations

import io
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import func, select
from tests.serving.sending.conftest import Added
from tests.serving.sending.orthanc import Orthanc, free_port, program, running
from tests.serving.world import dicom, read_all

from cxreader.serving.dicom.commitment import answer_due
from cxreader.serving.dicom.node import Node
from cxreader.serving.sending import stow
from cxreader.serving.sending.delivery import deliver
from cxreader.serving.sending.making import Maker
from cxreader.serving.sending.store_scu import echo
from cxreader.serving.service import TriageService
from cxreader.serving.settings import DicomSection
from cxreader.serving.store.tables.sending import Destination, OutboxEntry

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),  # pynetdicom's own sockets
    pytest.mark.skipif(program() is None, reason="Orthanc with its DICOMweb plug-in is not installed"),
]
SENT = {"SR": 2, "OT": 1, "PR": 1}
"""Objects of one alarm, by modality."""


@pytest.fixture
def url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """SQLite alone: the peer is what this is about."""
    from cxreader.serving.store.database import Database
    from cxreader.serving.store.migrate import upgrade

    found = f"sqlite:///{tmp_path / 'service.db'}"
    database = Database(found)
    upgrade(database)
    database.close()
    return found


@pytest.fixture
def port() -> int:
    """Of Orthanc's own node."""
    return free_port()


@pytest.fixture
def node(secret: TriageService, port: int) -> Iterator[Node]:
    folder = tempfile.tempdir
    peers = ({"ae_title": "ORTHANC", "addresses": ("127.0.0.1",), "port": port},)
    results = secret.settings.results.model_copy(update={"regions": "on"})
    section = DicomSection.model_validate({"port": free_port(), "peers": peers, "grace": 2})
    secret.settings = secret.settings.model_copy(update={"dicom": section, "results": results})
    made = Node(secret)
    made.start()
    yield made
    made.stop()
    tempfile.tempdir = folder


@pytest.fixture
def orthanc(node: Node, tmp_path: Path, port: int) -> Iterator[Orthanc]:
    with running(tmp_path, {"cxreader": ("CXREADER", "127.0.0.1", node.port)}, port) as made:
        yield made


def delivered(service: TriageService, to: Destination) -> dict[str, int]:
    deliver(service, Maker(service), to, "a sender")
    with service.database.reading() as session:
        of = select(OutboxEntry.state, func.count()).where(OutboxEntry.destination_id == to.id)
        return dict(session.execute(of.group_by(OutboxEntry.state)).all())


def found_by_web(orthanc: Orthanc, study: str) -> dict[str, int]:
    """Instances of a study by modality, as DICOMweb tells them, without the original."""
    series = orthanc.json(f"/dicom-web/studies/{study}/series", Accept="application/dicom+json")
    each = {one["0020000E"]["Value"][0]: one["00080060"]["Value"][0] for one in series}
    found: dict[str, int] = {}
    for uid, modality in each.items():
        answer = f"/dicom-web/studies/{study}/series/{uid}/instances"
        found[modality] = found.get(modality, 0) + len(orthanc.json(answer, Accept="application/dicom+json"))
    found.pop("DX", None)
    return found


def test_orthanc_sends_takes_finds_and_shows(
    secret: TriageService, node: Node, orthanc: Orthanc, added: Added, tmp_path: Path
) -> None:
    here = {"host": "127.0.0.1", "port": orthanc.dicom, "ae_title": "ORTHANC"}
    assert echo(secret.settings.dicom, here) == ""
    assert stow.echo({"url": orthanc.url}) == ""
    by_store, sent = added(here, name="by C-STORE"), orthanc.json("/instances", dicom(1))
    assert orthanc.json("/modalities/cxreader/store", sent["ID"].encode())["FailedInstancesCount"] == 0
    (entry,) = secret.worklist().entries
    assert (entry.study.study_uid, entry.row.images) == ("1.2.3.1", 1)
    read_all(secret)
    assert delivered(secret, by_store) == {"sent": 4}
    assert found_by_web(orthanc, "1.2.3.1") == SENT
    _found_by_find(orthanc, "1.2.3.1")
    _is_committed(secret, orthanc, sent["ID"])
    _comes_back_and_is_not_read(secret, orthanc)
    _shows_the_capture(orthanc)

    with secret.database.writing() as session:
        session.get_one(Destination, by_store.id).enabled = False
    by_stow = added({"url": orthanc.url, "credentials": None}, name="by STOW-RS")
    other = orthanc.json("/instances", dicom(2))
    assert orthanc.json("/modalities/cxreader/store", other["ID"].encode())["FailedInstancesCount"] == 0
    read_all(secret)
    assert delivered(secret, by_stow) == {"sent": 4}
    assert found_by_web(orthanc, "1.2.3.2") == SENT


def _found_by_find(orthanc: Orthanc, study: str) -> None:
    where = ["-aec", "ORTHANC", "127.0.0.1", str(orthanc.dicom)]
    keys = [
        "-k",
        "QueryRetrieveLevel=SERIES",
        "-k",
        f"StudyInstanceUID={study}",
        "-k",
        "Modality=SR",
        "-k",
        "SeriesInstanceUID",
    ]
    done = subprocess.run(["findscu", "-S", *keys, *where], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("Find Response") == 1, said


def _is_committed(service: TriageService, orthanc: Orthanc, instance: str) -> None:
    asked = orthanc.json("/modalities/cxreader/storage-commitment", json.dumps({"Resources": [instance]}).encode())
    assert answer_due(service) == 1
    for _ in range(100):
        answer = orthanc.json(asked["Path"])
        if answer["Status"] != "Pending":
            break
        time.sleep(0.1)
    assert (answer["Status"], len(answer["Success"])) == ("Success", 1)


def _capture(orthanc: Orthanc) -> str:
    """Orthanc's name of the one secondary capture."""
    (found,) = [
        one
        for one in orthanc.json("/instances")
        if orthanc.json(f"/instances/{one}/simplified-tags")["Modality"] == "OT"
    ]
    return str(found)


def _comes_back_and_is_not_read(service: TriageService, orthanc: Orthanc) -> None:
    back = orthanc.json("/modalities/cxreader/store", _capture(orthanc).encode())
    assert back["FailedInstancesCount"] == 0
    (entry,) = service.worklist().entries
    assert entry.row.images == 1


def _shows_the_capture(orthanc: Orthanc) -> None:
    status, picture = orthanc.ask(f"/instances/{_capture(orthanc)}/preview")
    assert status == 200
    with Image.open(io.BytesIO(picture)) as shown:
        assert min(shown.size) > 60
        assert len(shown.convert("RGB").getcolors(2**24) or ()) > 50
