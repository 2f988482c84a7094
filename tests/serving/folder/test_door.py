"""The folder door: whole files alone, moved where a person finds them again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.serving.world import dicom, png

from cxreader.errors import StorageError
from cxreader.serving.clock import SetClock
from cxreader.serving.folder.door import FolderDoor
from cxreader.serving.service import TriageService
from cxreader.serving.settings import FolderSection

SETTLE = 2.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    return made


def door(service: TriageService, folder: Path, clock: SetClock, **options: object) -> FolderDoor:
    given = {"path": folder, "settle": SETTLE, **options}
    return FolderDoor(service, FolderSection.model_validate(given), now=lambda: clock.now)


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def received(service: TriageService) -> list[str]:
    return sorted(service.study(e.study.key).images[0].instance.name for e in service.worklist().entries)


def test_whole_files_are_received_and_moved(service: TriageService, folder: Path, clock: SetClock) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.dcm").write_bytes(dicom(1))
    (folder / "deep" / "er" / "b.png").write_bytes(png(1))
    watched = door(service, folder, clock)
    assert watched.look() == 0
    clock.forward(SETTLE)
    assert watched.look() == 2
    assert received(service) == ["a.dcm", "b.png"]
    assert below(folder) == ["done/a.dcm", "done/deep/er/b.png"]
    clock.forward(SETTLE)
    assert watched.look() == 0


def test_a_file_that_still_grows_is_left_until_it_does_not(
    service: TriageService, folder: Path, clock: SetClock
) -> None:
    data, path, watched = dicom(1), folder / "a.dcm", door(service, folder, clock)
    path.write_bytes(data[:1000])
    watched.look()
    clock.forward(SETTLE)
    path.write_bytes(data)
    assert watched.look() == 0  # of another size than before
    os.utime(path, ns=(1, 1))
    clock.forward(SETTLE)
    assert watched.look() == 0  # of another time
    clock.forward(SETTLE - 0.1)
    assert watched.look() == 0
    clock.forward(0.1)
    assert watched.look() == 1
    assert service.worklist().entries[0].study.patient_id == "P1"


def test_files_that_others_are_writing_and_hidden_ones_and_links_are_left(
    service: TriageService, folder: Path, clock: SetClock
) -> None:
    for name in ("a.dcm.part", ".b.dcm", "c.TMP", "Thumbs.db", "d.filepart"):
        (folder / name).write_bytes(dicom(1))
    (folder.parent / "elsewhere.dcm").write_bytes(dicom(2))
    (folder / "link.dcm").symlink_to(folder.parent / "elsewhere.dcm")
    before, watched = below(folder), door(service, folder, clock)
    watched.look()
    clock.forward(SETTLE)
    assert watched.look() == 0
    assert below(folder) == before


def test_what_is_no_image_goes_aside_with_its_reason(service: TriageService, folder: Path, clock: SetClock) -> None:
    (folder / "Doe.txt").write_text("hello, Jane " * 20)
    watched = door(service, folder, clock)
    watched.look()
    clock.forward(SETTLE)
    watched.look()
    assert below(folder) == ["refused/Doe.txt", "refused/Doe.txt.txt"]
    reason = (folder / "refused" / "Doe.txt.txt").read_text()
    assert reason == "not a DICOM, PNG or JPEG image (by its content); give the radiograph as DICOM, PNG or JPEG\n"


def test_a_name_that_is_no_text_is_received(service: TriageService, folder: Path, clock: SetClock) -> None:
    name = os.fsencode(folder) + b"/\xff\xfe.dcm"
    with open(name, "wb") as file:  # noqa: PTH123 - a Path has no bytes
        file.write(dicom(1))
    watched = door(service, folder, clock)
    watched.look()
    clock.forward(SETTLE)
    assert watched.look() == 1
    assert received(service) == ["??.dcm"]


def test_names_that_are_taken_are_numbered(service: TriageService, folder: Path, clock: SetClock) -> None:
    watched = door(service, folder, clock)
    for n in range(3):
        (folder / "a.dcm").write_bytes(dicom(n))
        watched.look()
        clock.forward(SETTLE)
        watched.look()
    assert below(folder) == ["done/a-2.dcm", "done/a-3.dcm", "done/a.dcm"]
    assert len(received(service)) == 3


def test_what_the_service_cannot_take_now_stays_where_it_is(
    service: TriageService, folder: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise StorageError("no room")

    (folder / "a.dcm").write_bytes(dicom(1))
    watched = door(service, folder, clock)
    watched.look()
    clock.forward(SETTLE)
    monkeypatch.setattr(type(service.objects), "put", full)
    with pytest.raises(StorageError):
        watched.look()
    assert below(folder) == ["a.dcm"]
    monkeypatch.undo()
    assert watched.look() == 1


def test_what_was_received_can_be_deleted(service: TriageService, folder: Path, clock: SetClock) -> None:
    (folder / "a.dcm").write_bytes(dicom(1))
    watched = door(service, folder, clock, delete=True)
    watched.look()
    clock.forward(SETTLE)
    watched.look()
    assert below(folder) == []
    assert received(service) == ["a.dcm"]


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("when", ["before it is kept", "after"])
def test_a_file_that_grows_while_it_is_received_stays(
    service: TriageService, folder: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch, delete: bool, when: str
) -> None:
    path, whole = folder / "a.dcm", dicom(1)
    path.write_bytes(whole[:-3000])
    watched, receive = door(service, folder, clock, delete=delete), service.receive

    def grows(*given: object, **more: object) -> object:
        if when == "before it is kept":
            path.write_bytes(whole)
        receipt = receive(*given, **more)  # type: ignore[arg-type]
        path.write_bytes(whole)
        return receipt

    monkeypatch.setattr(service, "receive", grows)
    watched.look()
    clock.forward(SETTLE)
    watched.look()
    assert below(folder) == ["a.dcm"]
    monkeypatch.undo()
    watched.look()
    clock.forward(SETTLE)
    watched.look()
    assert below(folder) == ([] if delete else ["done/a.dcm"])
    assert whole in [service.objects.get(digest) for digest in service.objects.digests()]


def test_a_file_that_cannot_be_read_now_stays(
    service: TriageService, folder: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.dcm").write_bytes(dicom(1))
    watched, real = door(service, folder, clock), Path.open

    def fails(path: Path, *given: object, **more: object) -> object:
        if path.name == "a.dcm":
            raise OSError(5, "Input/output error")
        return real(path, *given, **more)  # type: ignore[call-overload]

    watched.look()
    clock.forward(SETTLE)
    monkeypatch.setattr(Path, "open", fails)
    watched.look()
    monkeypatch.undo()
    assert below(folder) == ["a.dcm"]
    watched.look()
    assert below(folder) == ["done/a.dcm"]
