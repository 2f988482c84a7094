"""What is sent: one file or many, whole or damaged, within its bounds."""

from __future__ import annotations

import asyncio
import io
import zipfile
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from fastapi import Request
from sqlalchemy import func, select
from starlette.exceptions import HTTPException
from tests.serving.web.world import World
from tests.serving.world import dicom, png

from cxreader.errors import StorageError
from cxreader.serving.store.tables.images import Instance
from cxreader.serving.store.tables.people import User
from cxreader.serving.web import spooled
from cxreader.serving.web.app import create_app


def archive(**members: bytes) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def count(world: World) -> int:
    """Images that are kept."""
    with world.service.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Instance)) or 0


def test_the_same_bytes_again_change_nothing(world: World) -> None:
    client = world.by_token()
    first, again = (client.post("/api/v1/images", content=dicom(1)) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["files"][0]["study"] == again.json()["files"][0]["study"]
    assert again.json()["files"][0]["outcome"] == "again"
    assert count(world) == 1
    with world.service.database.reading() as session:
        assert session.scalars(select(Instance.sender)).one() == session.get_one(User, world.people["reader"].id).name


def test_an_archive_s_files_are_taken_one_by_one_and_refusals_are_numbered(world: World) -> None:
    sent = archive(**{"Doe^Jane.dcm": dicom(1), "deep/b.png": png(2), "notes.txt": b"no image", "again.dcm": dicom(1)})
    answer = world.by_token().post("/api/v1/images", content=sent, headers={"Content-Type": "application/zip"})
    assert answer.status_code == 201
    files = answer.json()["files"]
    assert [one["outcome"] for one in files] == ["new", "new", "refused", "again"]
    assert "not a DICOM, PNG or JPEG image" in files[2]["reason"]
    assert "Doe" not in answer.text
    assert count(world) == 2


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, "nothing was sent"),
        (b"no image", 422, "not a DICOM, PNG or JPEG image"),
        (b"PK\x03\x04 damaged", 422, "damaged zip archive"),
    ],
)
def test_what_is_no_image_is_refused(world: World, body: bytes, status: int, text: str) -> None:
    answer = world.by_token().post("/api/v1/images", content=body)
    assert answer.status_code == status
    assert text in answer.text
    assert count(world) == 0


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("multipart/form-data", b"--x\r\n\r\n"),
        ("multipart/form-data; boundary=x", b"--y nothing of the kind"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nno file\r\n--x--\r\n',
        ),
    ],
)
def test_a_damaged_form_is_refused(world: World, media: str, body: bytes) -> None:
    answer = world.by_token().post("/api/v1/images", content=body, headers={"Content-Type": media})
    assert answer.status_code == 400, answer.text


def limited(world: World, **limits: int) -> World:
    """The same service behind other limits."""
    settings = world.service.settings
    web = settings.web.model_copy(update=limits)
    return replace(world, app=create_app(settings.model_copy(update={"web": web}), world.service))


def test_too_much_at_once_is_refused_and_nothing_stays_behind(world: World) -> None:
    small = limited(world, upload_mib=1, upload_files=2)
    client = small.by_token()
    assert client.post("/api/v1/images", content=bytes(2**20 + 1)).status_code == 413
    chunks = (bytes(2**16) for _ in range(17))
    assert client.post("/api/v1/images", content=chunks).status_code == 413  # without a length that could be believed
    three = [("files", (f"{n}.png", png(n))) for n in range(3)]
    assert client.post("/api/v1/images", files=three).status_code == 413
    many = archive(**{f"{n}.png": png(n) for n in range(3)})
    answer = client.post("/api/v1/images", content=many)
    assert (answer.status_code, answer.json()["mend"]) == (422, "at most 2 are taken at once")
    long_header = b"--x\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/api/v1/images", content=long_header, headers=headers).status_code == 400
    assert list((world.service.settings.home / "incoming" / "web").iterdir()) == []
    assert count(world) == 0


def test_other_requests_are_small(world: World) -> None:
    answer = world.client().post("/login", content=bytes(70_000), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 413


def test_uploads_of_a_user_are_limited(world: World) -> None:
    client = limited(world, uploads=1).by_token()
    codes = [client.post("/api/v1/images", content=png(1)).status_code for _ in range(2)]
    assert codes == [201, 429]


def test_uploads_at_once_are_limited(world: World) -> None:
    narrow = limited(world, uploads_at_once=1)
    client = narrow.by_token()
    with narrow.app.state.door.under_way.taken():
        for path, sent in (("/api/v1/images", png(1)), ("/dicomweb/studies", dicom(1))):
            answer = client.post(path, content=sent)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert count(world) == 0
    assert client.post("/api/v1/images", content=png(1)).status_code == 201


@pytest.mark.parametrize("path", ["/api/v1/images", "/dicomweb/studies"])
def test_who_finds_no_room_in_memory_waits(world: World, path: str) -> None:
    room, client, answers = world.service.room, world.by_token(), []
    sent = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + dicom(1) + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/related; boundary=x"} if "web" in path else {}
    content = sent if headers else dicom(1)
    upload = Thread(target=lambda: answers.append(client.post(path, content=content, headers=headers).status_code))
    with room.taken(world.service.settings.receiving_mib * 2**20):
        upload.start()
        upload.join(1)
        assert (answers, count(world)) == ([], 0)
    upload.join(30)
    assert answers in ([201], [200])
    assert count(world) == 1


def test_who_sends_nothing_any_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled, "SILENT", 0.05)
    pieces = [{"type": "http.request", "body": b"half", "more_body": True}]

    async def receive() -> Any:
        return pieces.pop() if pieces else await asyncio.sleep(30)

    async def came() -> None:
        async for chunk in spooled.chunks(Request({"type": "http", "headers": []}, receive)):
            got.append(chunk)  # noqa: PERF401 - what came before the end counts

    got: list[bytes] = []
    with pytest.raises(HTTPException) as given_up:
        asyncio.run(came())
    assert (got, given_up.value.status_code) == ([b"half"], 408)


def test_a_full_disk_is_told_and_nothing_is_acknowledged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise StorageError("the disk is full", where=Path("/secret/place"), mend="free space")

    monkeypatch.setattr(world.service.objects, "put", full)
    answer = world.by_token().post("/api/v1/images", content=png(1))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "/secret" not in answer.text
    assert count(world) == 0
