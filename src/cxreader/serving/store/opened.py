"""The database and the object store that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cxreader.serving.store.database import Database
from cxreader.serving.store.files.objects import FolderStore, ObjectStore

if TYPE_CHECKING:
    from cxreader.serving.settings import Settings


def opened_database(settings: Settings) -> Database:
    """Its tables are not looked at; see `migrate`."""
    return Database(settings.database_url)


def opened_objects(settings: Settings) -> ObjectStore:
    """A folder, or an S3-compatible store by its URL. Raises as `remote_store.RemoteStore`."""
    if settings.objects is not None and "://" in settings.objects:
        from cxreader.serving.store.files.remote_store import RemoteStore

        return RemoteStore(settings.objects)
    return FolderStore(Path(settings.objects or settings.home / "objects"))
