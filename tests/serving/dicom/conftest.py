"""A node that listens on loopback, in the test's own process."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cxreader.serving.dicom.node import Node
from cxreader.serving.service import TriageService
from cxreader.serving.settings import DicomSection

Started = Callable[..., Node]


@pytest.fixture
def started(service: TriageService) -> Iterator[Started]:
    """Gives a listening node of the service, by settings of its section."""
    nodes: list[Node] = []
    folder = tempfile.tempdir

    def start(**options: Any) -> Node:
        section = DicomSection(port=0, grace=2, **options)
        service.settings = service.settings.model_copy(update={"dicom": section})
        nodes.append(Node(service))
        nodes[-1].start()
        return nodes[-1]

    yield start
    for node in nodes:
        node.stop()
    tempfile.tempdir = folder
    gc.collect()  # here, where what pynetdicom leaves unclosed is no error
