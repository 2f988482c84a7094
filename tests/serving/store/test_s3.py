"""The object store in a service that speaks S3: moto's, on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from tests.s3_server import s3_server
from tests.serving.world import dicom, read_all

from cxreader.errors import MissingObjectError, StorageError
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
from cxreader.serving.store.database import Database
from cxreader.serving.store.files.remote_store import RemoteStore
from cxreader.serving.store.opened import opened_objects

DATA = b"a radiograph" * 100_000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of a new bucket."""
    with s3_server("kept") as place:
        yield f"s3://kept/of/one/site?region=us-east-1&scheme=http&endpoint_override={place}"


def test_bytes_come_back_by_their_digest(bucket: str) -> None:
    store = RemoteStore(bucket)
    assert list(store.digests()) == []
    assert not store.has(DIGEST)
    assert store.put(DATA) == store.put(DATA) == DIGEST
    assert RemoteStore(bucket).get(DIGEST) == DATA
    assert list(store.digests()) == [DIGEST]
    store.delete(DIGEST)
    store.delete(DIGEST)
    with pytest.raises(MissingObjectError):
        store.get(DIGEST)


def test_a_bucket_that_is_not_there_is_told_without_a_key(bucket: str) -> None:
    store = RemoteStore(bucket.replace("//kept", "//nowhere"))
    with pytest.raises(StorageError, match="the store cannot be used now") as caught:
        store.put(DATA)
    assert "nobody" not in str(caught.value)


def test_a_service_reads_from_it(bucket: str, settings: Settings, database: Database, service: TriageService) -> None:
    remote = settings.model_copy(update={"objects": bucket})
    served = TriageService(remote, database, opened_objects(remote))
    receipt = served.receive(dicom(1), door="dicom")
    read_all(served)
    assert served.original(receipt.instance)[1] == dicom(1)
    assert len(served.study(receipt.study).images[0].results) == 1
    assert not (settings.home / "objects").exists()
