"""The objects of a result: what they say, where they point, and that others find no fault with them."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from tests.serving.results.subjects import CR, file_of, heat_map, hot, image, refused, subject, unreadable

from cxreader.imaging.read import read
from cxreader.serving.results.gsps import presentation
from cxreader.serving.results.sc import capture
from cxreader.serving.results.sr import as_comprehensive, region_report, report
from cxreader.serving.results.subject import Subject
from cxreader.serving.store.reading.results import REGION
from cxreader.serving.zone import SiteZone

PIXELMED = Path("/usr/share/java/pixelmed.jar")
MORE: dict[str, Any] = {
    "Manufacturer": "maker",
    "PatientOrientation": ["L", "F"],
    "ImagerPixelSpacing": [0.2, 0.2],
    "ImageLaterality": "U",
}
IMAGES: dict[str, Callable[[], bytes]] = {
    "DX": lambda: image(**MORE),
    "CR": lambda: image(SOPClassUID=CR, Modality="CR"),
    "MONOCHROME1": lambda: image(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    "odd sizes": lambda: image(67, 91),
    "mirrored": lambda: image(**MORE | {"PatientOrientation": ["R", "F"]}),
    "umlauts": lambda: image(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jürgen"),
    "kanji": lambda: image(SpecificCharacterSet="ISO_IR 192", PatientName="Yamada^Tarou=山田^太郎"),
    "little known": lambda: image(PatientName="", PatientID="", PatientSex="", AccessionNumber="", Modality="XX"),
}


def every_object(data: bytes) -> Iterator[tuple[str, Dataset]]:
    """All that can be made of an image."""
    with_maps = subject(data, heat_map(hot()))
    yield "sr", report(with_maps)
    yield "fall-back", as_comprehensive(report(with_maps))
    yield "sr of a normal image", report(subject(data, decision="normal", probability=0.1, interval=(0.05, 0.2)))
    yield "sr without calibration", report(subject(data, probability=None, score=0.8))
    yield "refused", report(refused(data))
    yield "unreadable", report(unreadable(data))
    yield "regions", region_report(with_maps)
    yield "regions, fall-back", as_comprehensive(region_report(with_maps))
    yield "capture", capture(with_maps, read(data))
    yield "presentation", presentation(with_maps, data)


@pytest.fixture(scope="module", params=IMAGES)
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of all objects of each image."""
    folder, made = tmp_path_factory.mktemp("objects"), {}
    for name, one in every_object(IMAGES[request.param]()):
        made[name] = folder / f"{name.replace(' ', '_')}.dcm"
        made[name].write_bytes(file_of(one))
    return made


def needed(tool: str) -> str:
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return found


@pytest.mark.peer
def test_dciodvfy_finds_no_error(objects: dict[str, Path]) -> None:
    tool, found = needed("dciodvfy"), {}
    for name, file in objects.items():
        done = subprocess.run([tool, str(file)], capture_output=True, text=True, check=False)
        errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
        if errors:
            found[name] = errors
    assert found == {}


def validated(java: str, file: Path) -> str:
    """What PixelMed says of a report's templates."""
    limits = [f"-Djdk.xml.xpath{name}=0" for name in ("ExprOpLimit", "ExprGrpLimit", "TotalOpLimit")]
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    command = [java, *quick, *limits, "-cp", str(PIXELMED), "com.pixelmed.validate.DicomSRValidator", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.peer
@pytest.mark.parametrize("objects", ["DX"], indirect=True)
@pytest.mark.parametrize("name", ["sr", "refused", "sr without calibration", "regions"])
def test_pixelmed_finds_the_templates_kept(objects: dict[str, Path], name: str) -> None:
    java = needed("java")
    if not PIXELMED.exists():
        pytest.skip("PixelMed is not installed")
    said = validated(java, objects[name])
    assert "Root Template Validation Complete" in said
    assert "Error" not in said.replace(":", " ").split()
    warnings = [line for line in said.splitlines() if line.startswith("Warning")]
    # TID 1501 is extensible (PS3.16): that an image is unusable stands beside its rows.
    extended = [
        line
        for line in warnings
        if '(111101,DCM,"Image Quality")  Content Item not in template' in line.replace(":", " ")
    ]
    assert warnings == extended
    assert len(extended) == (name == "refused")


@pytest.mark.peer
def test_pixelmed_finds_what_is_wrong(tmp_path: Path) -> None:
    java = needed("java")
    if not PIXELMED.exists():
        pytest.skip("PixelMed is not installed")
    broken = report(subject(image(**MORE)))
    library = next(i for i in broken.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "126010")
    library.ContentSequence[0].ContentSequence.pop(0)  # the tracking identifier
    library.ContentSequence[0].ConceptNameCodeSequence[0].CodeValue = "125309"
    (tmp_path / "broken.dcm").write_bytes(file_of(broken))
    assert "Content Item not in template" in validated(java, tmp_path / "broken.dcm")


@pytest.mark.peer
def test_dcmtk_reads_them(objects: dict[str, Path]) -> None:
    dump, tree = needed("dcmdump"), needed("dsrdump")
    for name, file in objects.items():
        done = subprocess.run([dump, str(file)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), name
    shown = subprocess.run([tree, str(objects["sr"])], capture_output=True, text=True, check=False)
    assert shown.returncode == 0
    assert "0.87" in shown.stdout
    assert "Abnormal" in shown.stdout


def test_highdicom_opens_the_reports(objects: dict[str, Path]) -> None:
    found: Any = highdicom.sr.srread(objects["sr"])
    (group,) = found.content.get_image_measurement_groups()
    assert group.get_measurements()[0].value == 0.87
    found = highdicom.sr.srread(objects["regions"])
    regions = found.content.get_planar_roi_measurement_groups()
    assert len(regions) == 1


@pytest.mark.parametrize(
    ("made", "finding"),
    [
        (lambda: subject(image()), "263654008"),
        (lambda: subject(image(), decision="normal", probability=0.1), "17621005"),
        (lambda: subject(image(), decision="refer"), "371934000"),
        (lambda: refused(image()), "371934000"),
    ],
)
def test_the_finding_is_the_answers(made: Callable[[], Subject], finding: str) -> None:
    said = file_of(report(made()))
    assert finding.encode() in said


def test_a_refused_image_has_no_number_and_its_reason() -> None:
    said = file_of(report(refused(image())))
    assert b"122157" not in said
    assert b"111235" in said
    assert b"the header says HAND" in said


def test_a_score_that_is_not_calibrated_is_no_probability() -> None:
    assert b"122157" in file_of(report(subject(image(), probability=0.8)))
    assert b"122157" not in file_of(report(subject(image(), probability=None, score=0.8)))


def test_the_state_shows_monochrome1_as_it_is_shown() -> None:
    data = IMAGES["MONOCHROME1"]()
    made = presentation(subject(data, heat_map(hot())), data)
    assert made.PresentationLUTShape == "INVERSE"
    plain = image()
    made = presentation(subject(plain, heat_map(hot())), plain)
    assert made.PresentationLUTShape == "IDENTITY"
    assert (made.SoftcopyVOILUTSequence[0].WindowCenter, made.SoftcopyVOILUTSequence[0].WindowWidth) == (2048, 4096)


def test_report_and_state_outline_the_same_pixels() -> None:
    data = image(64, 64)
    one = subject(data, heat_map(hot(0.25, 0.75)))
    drawn = np.reshape(
        presentation(one, data).GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData, (-1, 2)
    )
    found: Any = highdicom.sr.srread(io.BytesIO(file_of(region_report(one))))
    (group,) = found.content.get_planar_roi_measurement_groups()
    np.testing.assert_allclose(drawn, group.roi.value, atol=1e-3)
    assert np.allclose(drawn[0], drawn[-1])
    assert 40 < drawn[:, 0].mean() < 56
    assert 8 < drawn[:, 1].mean() < 24


def test_the_capture_is_warm_where_the_map_is_and_names_no_patient() -> None:
    data = image(64, 64)
    made = capture(subject(data, heat_map(hot(0.25, 0.75))), read(data))
    pixels = made.pixel_array[:64, :].astype(int)
    left = (pixels.shape[1] - 64) // 2
    redness = pixels[:, left : left + 64, 0] - pixels[:, left : left + 64, 2]
    assert redness[16, 48] > 60
    assert redness[48, 16] == 0
    assert made.BurnedInAnnotation == "YES"
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == dcmread(io.BytesIO(data)).SOPInstanceUID


@pytest.mark.parametrize(
    ("told", "kept"),
    [(["L", "F"], ["L", "F"]), (["R", "F"], ["R", "F"]), (["AL", "FP"], ["AL", "FP"]), (["L"], []), (None, [])],
)
def test_the_capture_lies_as_its_image_lies(told: list[str] | None, kept: list[str]) -> None:
    data = image(64, 64, **({} if told is None else {"PatientOrientation": told}))
    made = dcmread(io.BytesIO(file_of(capture(subject(data, heat_map(hot())), read(data)))))
    assert list(made.PatientOrientation or []) == kept


def test_the_same_result_makes_the_same_bytes_and_another_revision_other_uids() -> None:
    data = image()
    one, again, later = (subject(data, heat_map(hot()), revision=n) for n in (1, 1, 2))
    for make in (report, region_report, lambda s: capture(s, read(data)), lambda s: presentation(s, data)):
        assert file_of(make(one)) == file_of(make(again))
        assert make(one).SOPInstanceUID != make(later).SOPInstanceUID
        assert make(one).SeriesInstanceUID != make(later).SeriesInstanceUID
    assert report(one).SeriesInstanceUID == region_report(one).SeriesInstanceUID


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system sets no time zone")
def test_the_same_result_makes_the_same_bytes_on_machines_of_other_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its moment is 2027-01-15 08:00:00 UTC, 13:30 in India, whatever the clock on the wall of the machine shows."""
    data, made = image(), list[tuple[bytes, ...]]()
    for machine in ("Pacific/Auckland", "America/New_York"):
        monkeypatch.setenv("TZ", machine)
        time.tzset()
        one = replace(subject(data, heat_map(hot())), zone=SiteZone("Asia/Kolkata"))
        objects = report(one), region_report(one), capture(one, read(data)), presentation(one, data)
        assert {each.TimezoneOffsetFromUTC for each in objects} == {"+0530"}
        assert {(each.InstanceCreationDate, each.InstanceCreationTime) for each in objects} == {("20270115", "133000")}
        made.append(tuple(map(file_of, objects)))
    monkeypatch.undo()
    time.tzset()
    assert made[0] == made[1]


def test_a_region_head_speaks_before_the_heat_map() -> None:
    data = image(64, 64)
    one = subject(data, heat_map(hot(0.25, 0.25)), heat_map(hot(0.75, 0.75), kind=REGION))
    (region,) = one.regions
    assert region.source == "Region head"
    assert region.box.x > 32
