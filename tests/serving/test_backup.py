"""A backup is restored into an empty home, to the same or the other kind of database, and reading goes on there."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.serving.conftest import active
from tests.serving.world import dicom, png, read_all

from cxreader.errors import CxreaderError, DataError, UsageError
from cxreader.models.artifact import load_artifact
from cxreader.serving.administration import credentials, sending
from cxreader.serving.administration import models as administration
from cxreader.serving.clock import SetClock
from cxreader.serving.home import SECRET
from cxreader.serving.operations.backup import backup, restore
from cxreader.serving.sending import addresses
from cxreader.serving.service import TriageService
from cxreader.serving.settings import FILE, Settings
from cxreader.serving.store import audit, destinations
from cxreader.serving.store.database import Database
from cxreader.serving.store.files.objects import FolderStore
from cxreader.serving.store.opened import opened_objects
from cxreader.serving.store.reading import models
from cxreader.serving.store.tables.readings import Result
from cxreader.serving.worker.models import SENT, settings_of


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


def test_models_and_credentials_that_were_sent_are_in_it(
    service: TriageService, artifact: Path, other_artifact: Path, tmp_path: Path, clock: SetClock
) -> None:
    """Whoever restores it elsewhere reads on by the model that was active, and sends where it was sent."""
    home, name = service.settings.home, load_artifact(other_artifact).id
    _home(service, f'models = ["{artifact}"]\n')
    shutil.copytree(other_artifact, home / SENT / name)
    administration.activate(service, "admin", [name])
    with credentials.kept(home, "user:secret") as path, service.database.writing() as session:
        address = {"url": "http://127.0.0.1:1", "credentials": path}
        sending.add(session, 0.0, "admin", name="pacs", address=address, sends=["sr"])
    waits = service.receive(dicom(1), door="http")
    backup(service, tmp_path / "b.tar")
    restore(tmp_path / "b.tar", tmp_path / "new")
    shutil.rmtree(home)

    settings = Settings.load(tmp_path / "new")
    restored = TriageService(settings, Database(settings.database_url, clock=clock), opened_objects(settings))
    with restored.database.reading() as session:
        active_now = models.active(session)
        (to,) = destinations.every(session)
    own = settings_of(settings, active_now)
    assert own.models == (tmp_path / "new" / SENT / name,)
    file = Path(addresses.of(settings, to)["credentials"])
    assert (file.read_text(), file.stat().st_mode & 0o077, file.parent.stat().st_mode & 0o077) == ("user:secret", 0, 0)
    assert file.is_relative_to(tmp_path / "new")
    read_all(TriageService(own, restored.database, restored.objects))
    assert restored.study(waits.study).images[0].results[0].reading["artifact"] == name
    restored.close()


def test_a_store_that_holds_files_is_not_filled(service: TriageService, tmp_path: Path) -> None:
    _home(service, f'objects = "{tmp_path / "store"}"\n')
    backup(service, tmp_path / "b.tar")
    FolderStore(tmp_path / "store").put(b"another service's")
    with pytest.raises(UsageError, match="holds files already"):
        restore(tmp_path / "b.tar", tmp_path / "new")


def test_a_file_that_was_changed_or_leads_elsewhere_is_refused(service: TriageService, tmp_path: Path) -> None:
    _home(service, "")
    service.receive(dicom(1), door="http")
    backup(service, tmp_path / "b.tar")
    elsewhere = ("../../evil", "home/models/../../evil", "home/secret.key", f"objects/{'0' * 64}", "objects/x")
    for number, name in enumerate(elsewhere):
        changed = tmp_path / f"{number}.tar"
        changed.write_bytes((tmp_path / "b.tar").read_bytes())
        with tarfile.open(changed, "a") as archive:
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
        with pytest.raises(DataError, match="not what it is called"):
            restore(changed, tmp_path / f"home{number}")
    assert not (tmp_path.parent / "evil").exists()
