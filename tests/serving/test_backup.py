"""A backup is restored into an empty home, to the same or the other kind of database, and reading goes on there."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.serving.conftest import active
from tests.serving.world import dicom, png, read_all

from cxreader.errors import CxreaderError, DataError, UsageError
from cxreader.serving.clock import SetClock
from cxreader.serving.home import SECRET
from cxreader.serving.operations.backup import backup, restore
from cxreader.serving.service import TriageService
from cxreader.serving.settings import FILE, Settings
from cxreader.serving.store import audit
from cxreader.serving.store.database import Database
from cxreader.serving.store.opened import opened_objects
from cxreader.serving.store.tables.readings import Result


def _home(service: TriageService, toml: str) -> None:
    home = service.settings.home
    home.mkdir(exist_ok=True)
    (home / SECRET).write_bytes(b"s" * 32)
    (home / FILE).write_text(toml)


def _opened(home: Path, clock: SetClock) -> TriageService:
    """The service of a restored home, by the test's clock."""
    settings = Settings.load(home)
    database = Database(settings.database_url, clock=clock)
    return active(TriageService(settings, database, opened_objects(settings)))


def test_a_restored_service_reads_on(
    service: TriageService, artifact: Path, tmp_path: Path, empty_url: str, clock: SetClock
) -> None:
    _home(service, f'models = ["{artifact}"]\ndatabase = "{empty_url}"\n')
    first = service.receive(dicom(1), door="http")
    read_all(service)
    waits = service.receive(dicom(2), door="http")
    service.pixels(first.instance)
    done = backup(service, tmp_path / "b.tar")
    assert (done.objects, done.missing) == (2, 0)
    assert (tmp_path / "b.tar").stat().st_mode & 0o077 == 0
    service.receive(dicom(3), door="http")  # after the backup

    again = restore(tmp_path / "b.tar", tmp_path / "new")
    assert (again.rows, again.objects) == (done.rows - 1, 2)  # all but the row of the pixels
    assert (tmp_path / "new" / SECRET).read_bytes() == b"s" * 32
    restored = _opened(tmp_path / "new", clock)
    assert {one.study.key for one in restored.worklist().entries} == {first.study, waits.study}
    assert restored.original(first.instance)[1] == dicom(1)
    read_all(restored)
    assert restored.study(waits.study).images[0].results[0].reading["acceptance"] == "accepted"
    restored.receive(png(1), door="http")  # numbers go on
    assert restored.pixels(first.instance).bytes
    read_all(restored)
    with restored.database.reading() as session:
        assert audit.verify(session).number is None
        assert len(session.scalars(select(Result)).all()) == 3
    restored.close()
    assert sorted(path.name for path in (tmp_path / "new").iterdir() if path.name.startswith(".")) == []


def test_only_what_is_whole_and_only_into_what_is_empty(service: TriageService, tmp_path: Path) -> None:
    _home(service, f'database = "sqlite:///{tmp_path / "one.db"}"\n')
    service.receive(dicom(1), door="http")
    file = tmp_path / "b.tar"
    backup(service, file)
    with pytest.raises(UsageError, match="is there already"):
        backup(service, file)
    with pytest.raises(UsageError, match="is not empty"):
        restore(file, service.settings.home)
    restore(file, tmp_path / "one")
    with pytest.raises(UsageError, match="holds tables already"):
        restore(file, tmp_path / "two")  # the same database
    (tmp_path / "cut.tar").write_bytes(file.read_bytes()[:3000])
    (tmp_path / "none.tar").write_bytes(b"no archive at all")
    for name in ("cut", "none"):
        with pytest.raises(CxreaderError):
            restore(tmp_path / f"{name}.tar", tmp_path / name)


def test_a_file_that_was_changed_or_leads_elsewhere_is_refused(service: TriageService, tmp_path: Path) -> None:
    _home(service, "")
    service.receive(dicom(1), door="http")
    backup(service, tmp_path / "b.tar")
    for number, (name, data) in enumerate({"../../evil": b"x", f"objects/{'0' * 64}": b"x", "objects/x": b"x"}.items()):
        changed = tmp_path / f"{number}.tar"
        changed.write_bytes((tmp_path / "b.tar").read_bytes())
        with tarfile.open(changed, "a") as archive:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        with pytest.raises(DataError, match="not what it is called"):
            restore(changed, tmp_path / f"home{number}")
    assert not (tmp_path.parent / "evil").exists()
