"""A node that sends: pynetdicom as the other side."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydicom import Dataset, dcmread
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from cxreader.serving.dicom.contexts import COMMITMENT, VERIFICATION, transfer_syntaxes

DX = "1.2.840.10008.5.1.4.1.1.1.1"


def as_dataset(data: bytes) -> Dataset:
    """The data set of a file."""
    return dcmread(io.BytesIO(data), force=True)


@contextmanager
def sending(
    port: int, *, title: str = "CT1", called: str = "CXREADER", classes: Sequence[str] = (DX,), **more: Any
) -> Iterator[Association]:
    """An association with the node on this port, as asked for; it may have been rejected."""
    entity = ApplicationEntity(ae_title=title)
    wanted = [build_context(VERIFICATION), build_context(COMMITMENT)]
    wanted += [build_context(one, syntax) for one in classes for syntax in transfer_syntaxes()[:4]]
    association = entity.associate("127.0.0.1", port, contexts=wanted, ae_title=called, **more)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        left = association.dul.socket
        if left is not None and left.socket is not None:
            left.socket.close()  # the library leaves it open where the other side was killed


def stored(association: Association, data: bytes) -> int:
    """The status of a C-STORE."""
    return int(association.send_c_store(as_dataset(data)).Status)
