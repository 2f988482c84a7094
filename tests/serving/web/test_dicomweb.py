"""DICOMweb: what is stored is found and comes back byte by byte."""

from __future__ import annotations

import io
from contextlib import suppress
from email.parser import BytesParser
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing
from pydicom.uid import RLELossless
from tests.serving.results.subjects import file_of, image, subject
from tests.serving.web.world import World
from tests.serving.world import dicom, png, read_all

from cxreader.imaging.read import read
from cxreader.serving.results import sr
from cxreader.serving.results.uids import KINDS
from cxreader.serving.retaining.retention import Retention
from cxreader.serving.sending.making import Maker, NothingError
from cxreader.serving.settings import ResultsSection
from cxreader.serving.web.dicomweb import holdings
from cxreader.serving.web.dicomweb.stow import CANNOT_UNDERSTAND, OTHER_STUDY

WRONG = [
    (one, 400)
    for one in (
        "viewport=0,5",
        "viewport=a,b",
        "viewport=9999,1",
        "viewport=9,9,9",
        "viewport=9,9,0,0,0,5",
        "viewport=9,9,500,0,5,5",
        "quality=0",
        "quality=x",
        "window=1",
        "window=1,0,linear",
        "window=1,nan,linear",
        "window=1,2,cubic",
    )
]
DICOM_JSON = "application/dicom+json"


@pytest.fixture(autouse=True)
def _in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies are fetched two at a time."""
    monkeypatch.setattr(holdings, "AT_ONCE", 2)


def stow(client: Any, *files: bytes, study: str = "") -> Any:
    """Send files as multipart/related."""
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in files) + b"--b--\r\n"
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    return client.post(f"/dicomweb/studies{study}", content=body, headers=headers)


def parts(answer: Any) -> list[bytes]:
    """The parts of a multipart answer, as the standard library reads them."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    return [
        bytes(one.get_payload(decode=True)) for one in BytesParser().parsebytes(head + answer.content).get_payload()
    ]


def datasets(answer: Any) -> list[Dataset]:
    """What a search found, as pydicom reads it."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == DICOM_JSON
    return [Dataset.from_json(one) for one in answer.json()]


def test_what_is_stored_comes_back_as_it_was(world: World) -> None:
    client, files = world.by_token(), [dicom(1), dicom(1, SOPInstanceUID="1.2.9", InstanceNumber="2"), dicom(2)]
    told = Dataset.from_json(stow(client, *files).json())
    assert [one.ReferencedSOPInstanceUID for one in told.ReferencedSOPSequence] == [
        dcmread(io.BytesIO(one)).SOPInstanceUID for one in files
    ]
    base = "/dicomweb/studies/1.2.3.1"
    assert sorted(parts(client.get(base))) == sorted(files[:2])
    assert parts(client.get(f"{base}/series/1.2.3.1.1/instances/1.2.9")) == [files[1]]
    alone = client.get(f"{base}/series/1.2.3.1.1/instances/1.2.9", headers={"Accept": "application/dicom"})
    assert (alone.content, alone.headers["content-type"]) == (files[1], "application/dicom")
    (meta,) = datasets(client.get(f"{base}/series/1.2.3.1.1/instances/1.2.9/metadata"))
    sent = dcmread(io.BytesIO(files[1]), stop_before_pixels=True)
    assert {e.tag: str(e.value) for e in meta} == {e.tag: str(e.value) for e in sent}
    for path in ("/dicomweb/studies/9.9", f"{base}/series/9.9", f"{base}/series/1.2.3.1.1/instances/9.9/metadata"):
        assert client.get(path).status_code == 404, path


def test_studies_series_and_instances_are_told(world: World) -> None:
    client = world.by_token()
    stow(
        client, dicom(1), dicom(1, SOPInstanceUID="1.2.9"), dicom(1, SOPInstanceUID="1.2.8", SeriesInstanceUID="1.2.7")
    )
    world.service.receive(png(1), door="http")  # no DICOM object
    (study,) = datasets(client.get("/dicomweb/studies"))
    assert (study.StudyInstanceUID, study.PatientName, study.PatientID) == ("1.2.3.1", "Doe^Jane", "P1")
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (2, 3)
    assert study.ModalitiesInStudy == "DX"
    series = datasets(client.get("/dicomweb/studies/1.2.3.1/series"))
    assert {(one.SeriesInstanceUID, one.NumberOfSeriesRelatedInstances) for one in series} == {
        ("1.2.3.1.1", 2),
        ("1.2.7", 1),
    }
    found = datasets(client.get("/dicomweb/studies/1.2.3.1/series/1.2.7/instances"))
    assert [(one.SOPInstanceUID, one.Rows, one.Columns) for one in found] == [("1.2.8", 72, 96)]
    where = found[0].RetrieveURL.removeprefix("http://127.0.0.1:8080")
    assert len(parts(client.get(where))) == 1
    assert len(datasets(client.get("/dicomweb/instances", params={"SOPInstanceUID": "1.2.8,1.2.9"}))) == 2
    assert len(datasets(client.get("/dicomweb/series", params={"PatientID": "P1", "SeriesInstanceUID": "1.2.7"}))) == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, {"1", "2", "3", "4"}),
        ({"PatientID": "P1"}, {"1"}),
        ({"00100020": "P1"}, {"1"}),
        ({"PatientID": "P*"}, {"1", "2", "3", "4"}),
        ({"PatientID": "p1"}, set()),
        ({"PatientName": "doe*"}, {"1", "2"}),
        ({"PatientName": "D?e^jane"}, {"1", "2"}),
        ({"PatientName": "100%*"}, {"3"}),
        ({"PatientName": "%"}, set()),
        ({"StudyDate": "20260102"}, {"2"}),
        ({"StudyDate": "20260102-"}, {"2", "3", "4"}),
        ({"StudyDate": "-20260102"}, {"1", "2"}),
        ({"StudyDate": "20260102-20260103"}, {"2", "3"}),
        ({"StudyInstanceUID": "1.2.3.1,1.2.3.3"}, {"1", "3"}),
        ({"AccessionNumber": "", "limit": "2"}, {"4", "3"}),
        ({"limit": "2", "offset": "1", "includefield": "all"}, {"3", "2"}),
        ({"PatientID": "p*"}, set()),
        ({"PatientName": "müller*"}, {"4"}),
        ({"PatientName": "MÜLLER^ÄNNE"}, {"4"}),
        ({"StudyTime": "0915"}, {"2"}),
        ({"StudyTime": "091500"}, {"2"}),
        ({"StudyTime": "09-10"}, {"2", "3"}),
        ({"StudyTime": "0916-"}, {"3", "4"}),
        ({"StudyTime": "-091500"}, {"2"}),
        ({"00080030": "1030-1030"}, {"3"}),
        ({"ModalitiesInStudy": "DX"}, {"1", "2", "4"}),
        ({"ModalitiesInStudy": "C?"}, {"3"}),
        ({"ModalitiesInStudy": "dx"}, set()),
        ({"ModalitiesInStudy": "SR"}, set()),
    ],
)
def test_studies_match(world: World, query: dict[str, str], found: set[str]) -> None:
    client = world.by_token()
    others = {
        1: {"PatientName": "Doe^Jane"},
        2: {"PatientName": "DOE^JANE", "StudyTime": "091500.25"},
        3: {"PatientName": "100%^Sure", "StudyTime": "103059", "Modality": "CR"},
        4: {"PatientName": "Müller^Änne", "StudyTime": "11", "SpecificCharacterSet": "ISO_IR 192"},
    }
    for n, more in others.items():
        stow(client, dicom(n, StudyDate=f"2026010{n}", **more))
    shown = datasets(client.get("/dicomweb/studies", params=query))
    assert {one.StudyInstanceUID.rpartition(".")[2] for one in shown} == found
    assert len(shown) == len(found)


@pytest.mark.parametrize(
    "query", [{"Bogus": "1"}, {"StudyDate": "x"}, {"StudyDate": "2026"}, {"StudyTime": "9"}, {"limit": "0"}]
)
def test_what_cannot_be_matched_is_refused(world: World, query: dict[str, str]) -> None:
    assert world.by_token().get("/dicomweb/studies", params=query).status_code in (400, 422)


def test_what_is_not_kept_is_told_with_its_reason(world: World) -> None:
    client = world.by_token()
    some = stow(client, dicom(1), png(1), b"DICM no")
    assert some.status_code == 202
    told = Dataset.from_json(some.json())
    assert [one.FailureReason for one in told.FailedSOPSequence] == [CANNOT_UNDERSTAND] * 2
    assert len(told.ReferencedSOPSequence) == 1
    assert not any("ReferencedSOPInstanceUID" in one for one in told.FailedSOPSequence)  # which have none
    other = stow(client, dicom(2), study="/1.2.3.1")
    assert other.status_code == 409
    (failed,) = Dataset.from_json(other.json()).FailedSOPSequence
    sent = dcmread(io.BytesIO(dicom(2)))
    assert failed.FailureReason == OTHER_STUDY
    assert (failed.ReferencedSOPClassUID, failed.ReferencedSOPInstanceUID) == (sent.SOPClassUID, sent.SOPInstanceUID)
    report = file_of(sr.report(subject(image())))
    (failed,) = Dataset.from_json(stow(client, report).json()).FailedSOPSequence
    made = dcmread(io.BytesIO(report))
    assert (failed.ReferencedSOPClassUID, failed.ReferencedSOPInstanceUID) == (made.SOPClassUID, made.SOPInstanceUID)
    assert stow(client, dicom(1), study="/1.2.3.1").status_code == 200


def test_what_is_kept_is_retrieved_from_where_the_answer_says(world: World) -> None:
    client = world.by_token()
    told = Dataset.from_json(stow(client, dicom(1), dicom(1, SOPInstanceUID="1.2.9")).json())
    first, second = (one.RetrieveURL.removeprefix("http://127.0.0.1:8080") for one in told.ReferencedSOPSequence)
    assert (parts(client.get(first)), second.rpartition("/")[2]) == ([dicom(1)], "1.2.9")
    assert len(parts(client.get(told.RetrieveURL.removeprefix("http://127.0.0.1:8080")))) == 2
    assert "RetrieveURL" not in Dataset.from_json(stow(client, dicom(2), dicom(3)).json())  # of two studies


def test_the_header_of_a_latin_1_file_is_told_in_utf_8_and_says_so(world: World) -> None:
    item = Dataset()
    item.SpecificCharacterSet, item.RequestedProcedureDescription = "ISO_IR 100", "Thorax-Übersicht"
    client, told = world.by_token(), {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jürgen"}
    stow(client, dicom(1, **told, RequestAttributesSequence=[item]), dicom(2))
    (made,) = client.get("/dicomweb/studies/1.2.3.1/metadata").json()
    assert made["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert made["00100010"]["Value"] == [{"Alphabetic": "Müller^Jürgen"}]
    (inner,) = made["00400275"]["Value"]
    assert (inner["00080005"]["Value"], inner["00321060"]["Value"]) == (["ISO_IR 192"], ["Thorax-Übersicht"])
    (plain,) = client.get("/dicomweb/studies/1.2.3.2/metadata").json()
    assert "00080005" not in plain


def test_series_of_results_are_told_as_the_objects_themselves_do(world: World) -> None:
    service, client = world.service, world.by_token()
    service.settings = service.settings.model_copy(update={"results": ResultsSection(regions="on")})
    for n in range(4):
        service.receive(dicom(n), door="http")
    read_all(service)
    maker, made = Maker(service), []
    for entry in service.worklist().entries:
        for kind in KINDS if entry.result else ():
            with suppress(NothingError):
                made.append(dcmread(io.BytesIO(maker.file_of(entry.result.id, kind))))
    assert {one.Modality for one in made} == {"SR", "OT", "PR"}
    words = ("SeriesInstanceUID", "Modality", "SeriesDescription", "SeriesNumber")
    told = [one for one in datasets(client.get("/dicomweb/series")) if one.Modality != "DX"]
    assert {tuple(str(one[word].value) for word in words) for one in told} == {
        tuple(str(one[word].value) for word in words) for one in made
    }


def test_objects_that_were_made_stay_when_the_images_are_deleted(world: World) -> None:
    service, client = world.service, world.by_token()
    kept = service.receive(dicom(1), door="http")
    service.receive(dicom(2), door="http")
    read_all(service)
    for entry in service.worklist().entries:
        assert entry.result is not None
        if entry.study.key == kept.study:
            Maker(service).file_of(entry.result.id, "sr")
    Retention(service, "a test").delete("images", [entry.study.key for entry in service.worklist().entries])
    (study,) = datasets(client.get("/dicomweb/studies"))
    assert (study.StudyInstanceUID, study.ModalitiesInStudy, study.NumberOfStudyRelatedInstances) == (
        "1.2.3.1",
        "SR",
        1,
    )
    assert len(datasets(client.get("/dicomweb/studies", params={"ModalitiesInStudy": "SR"}))) == 1
    assert datasets(client.get("/dicomweb/studies", params={"ModalitiesInStudy": "DX"})) == []
    (report,) = parts(client.get("/dicomweb/studies/1.2.3.1"))
    assert dcmread(io.BytesIO(report)).Modality == "SR"


def test_the_frame_of_an_image_comes_uncompressed(world: World) -> None:
    client, whole = world.by_token(), dcmread(io.BytesIO(dicom(1)))
    packed = dcmread(io.BytesIO(dicom(2)))
    packed.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    packed.save_as(buffer)
    stow(client, dicom(1), buffer.getvalue())
    for n, made in ((1, whole), (2, packed)):
        base = f"/dicomweb/studies/1.2.3.{n}/series/1.2.3.{n}.1/instances/{made.SOPInstanceUID}"
        (part,) = parts(client.get(f"{base}/frames/1"))
        alone = client.get(f"{base}/frames/1", headers={"Accept": "application/octet-stream"})
        assert part == alone.content == made.pixel_array.astype("<u2").tobytes()
        assert client.get(f"{base}/frames/2").status_code == 404
        assert client.get(f"{base}/frames/1", headers={"Accept": "image/jp2"}).status_code == 406


def test_a_picture_of_an_image_is_what_the_reader_sees(world: World) -> None:
    client, sent = world.by_token(), dicom(1)
    stow(client, sent)
    seen = read(sent).pixels
    base = f"/dicomweb/studies/1.2.3.1/series/1.2.3.1.1/instances/{dcmread(io.BytesIO(sent)).SOPInstanceUID}"
    for path, accept, media, off in (
        ("/rendered", "image/png", "image/png", 0.6),
        ("/frames/1/rendered", "text/html, image/*;q=0.8", "image/jpeg", 30.0),
        ("/rendered?quality=100", "*/*", "image/jpeg", 8.0),
    ):
        answer = client.get(base + path, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, media)
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.size == seen.shape[::-1]
        assert np.abs(np.asarray(picture, float) - 255 * seen).max() <= off, path
    small = client.get(f"{base}/rendered", params={"viewport": "48,1000"})
    assert Image.open(io.BytesIO(small.content)).size == (48, 36)
    for wrong, status in WRONG:
        assert client.get(f"{base}/rendered?{wrong}").status_code == status, wrong
    assert client.get(f"{base}/rendered", headers={"Accept": "text/html"}).status_code == 406
    assert client.get(f"{base}/frames/2/rendered").status_code == 404


def picture_of(answer: Any) -> Any:
    """Greys of an answer that is one picture."""
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)), float)


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("function", ["linear", "linear-exact", "sigmoid"])
def test_a_window_is_the_standard_s(world: World, function: str, photometric: str) -> None:
    client, sent = world.by_token(), dicom(1, PhotometricInterpretation=photometric)
    stow(client, sent)
    header = dcmread(io.BytesIO(sent))
    given = {"window": f"1800.5,900,{function}"}
    made = picture_of(client.get("/dicomweb/studies/1.2.3.1/rendered", params=given, headers={"Accept": "image/png"}))
    header.WindowCenter, header.WindowWidth, header.VOILUTFunction = "1800.5", "900", function.upper().replace("-", "_")
    wanted = apply_windowing(header.pixel_array, header)  # of pydicom: 0 to 4095
    wanted = 255 * wanted / 4095
    assert np.abs(made - (255 - wanted if photometric == "MONOCHROME1" else wanted)).max() <= 1


def test_a_viewport_may_show_a_region_and_turn_it_about(world: World) -> None:
    client, sent = world.by_token(), dicom(1)
    stow(client, sent)
    whole = 255 * read(sent).pixels  # 72 x 96
    path, png_ = "/dicomweb/studies/1.2.3.1/rendered", {"Accept": "image/png"}
    for viewport, wanted in (
        ("20,10,30,40,20,10", whole[40:50, 30:50]),
        ("20,10,30,40,-20,10", whole[40:50, 30:50][:, ::-1]),
        ("20,10,30,40,20,-10", whole[40:50, 30:50][::-1]),
        ("66,72,30,,,", whole[:, 30:]),
        ("6,32,90,40,20,60", whole[40:, 90:]),
    ):
        made = picture_of(client.get(path, params={"viewport": viewport}, headers=png_))
        assert made.shape == wanted.shape, viewport
        assert np.abs(made - wanted).max() <= 1, viewport
    twice = picture_of(client.get(path, params={"viewport": "40,999,30,40,20,10"}, headers=png_))
    assert twice.shape == (20, 40)


def test_a_study_and_a_series_are_rendered_in_parts_and_have_a_thumbnail(world: World) -> None:
    client = world.by_token()
    files = [dicom(1), dicom(1, SOPInstanceUID="1.2.9", SeriesInstanceUID="1.2.3.1.2")]
    stow(client, *files)
    seen = [255 * read(one).pixels for one in files]
    for accept, media in (("*/*", "image/jpeg"), ('multipart/related; type="image/png"', "image/png")):
        answer = client.get("/dicomweb/studies/1.2.3.1/rendered", headers={"Accept": accept})
        assert f'multipart/related; type="{media}"' in answer.headers["content-type"]
        found = [np.asarray(Image.open(io.BytesIO(one)), float) for one in parts(answer)]
        off = [np.abs(made - wanted).max() for made, wanted in zip(found, seen, strict=True)]
        assert max(off) <= (1 if media == "image/png" else 30)
        assert answer.content.count(b"/instances/1.2.9/rendered") == 1
    (alone,) = parts(
        client.get("/dicomweb/studies/1.2.3.1/series/1.2.3.1.2/rendered", headers={"Accept": "multipart/related"})
    )
    assert alone == client.get("/dicomweb/studies/1.2.3.1/series/1.2.3.1.2/rendered").content
    for accept in ("image/jpeg", "image/gif", 'multipart/related; type="video/mp4"'):
        refused = client.get("/dicomweb/studies/1.2.3.1/rendered", headers={"Accept": accept})
        assert refused.status_code == 406, accept
    for path in (
        "",
        "/series/1.2.3.1.2",
        "/series/1.2.3.1.2/instances/1.2.9",
        "/series/1.2.3.1.2/instances/1.2.9/frames/1",
    ):
        answer = client.get(f"/dicomweb/studies/1.2.3.1{path}/thumbnail")
        assert (answer.headers["content-type"], picture_of(answer).shape) == ("image/jpeg", (96, 128)), path
    small = client.get("/dicomweb/studies/1.2.3.1/thumbnail?viewport=48,48", headers={"Accept": "image/png"})
    assert (small.headers["content-type"], picture_of(small).shape) == ("image/png", (36, 48))
    assert client.get("/dicomweb/studies/1.2.3.1/thumbnail", headers={"Accept": "text/html"}).status_code == 406
    assert client.get("/dicomweb/studies/9.9/thumbnail").status_code == 404


def test_what_was_made_here_has_no_picture(world: World) -> None:
    service, client = world.service, world.by_token()
    service.receive(dicom(1), door="http")
    read_all(service)
    (entry,) = service.worklist().entries
    assert entry.result is not None
    Maker(service).file_of(entry.result.id, "sr")
    made = [one for one in datasets(client.get("/dicomweb/instances")) if one.Modality == "SR"]
    where = made[0].RetrieveURL.removeprefix("http://127.0.0.1:8080")
    asked = ("/rendered", "/thumbnail", "/frames/1", "/metadata")
    assert [client.get(where + path).status_code for path in asked] == [406, 406, 406, 200]
    series = where.partition("/instances/")[0]
    assert [client.get(series + path).status_code for path in asked[:2]] == [406, 406]
    whole = client.get("/dicomweb/studies/1.2.3.1/rendered")
    assert whole.headers["content-type"] == "image/jpeg"  # the image alone
