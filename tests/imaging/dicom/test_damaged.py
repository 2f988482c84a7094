"""Bombs, nests, lies, and every file that pydicom ships: an image or an error of the tree, in bounded time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.imaging.bombs import BIG, BOMBS, compressed, huffman, j2k, jpeg, scan

from cxreader.errors import CxreaderError, ImageError
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read, read_header, size

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What a process of its own makes of each bomb: outcome, seconds of computing, its most memory so far."""
    folder = tmp_path_factory.mktemp("bombs")
    for n, (make, _) in enumerate(BOMBS.values()):
        (folder / f"{n:02}").write_bytes(make())
    command = [sys.executable, "-W", "error", "-m", "tests.imaging.bombs", str(folder)]
    paths = os.pathsep.join(path for path in (str(PROJECT), os.environ.get("PYTHONPATH", "")) if path)
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip(BOMBS, lines, strict=True))


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little_and_is_refused_for_what_it_is(name: str, outcomes: dict[str, dict[str, Any]]) -> None:
    found, expected = outcomes[name], BOMBS[name][1]
    assert found["seconds"] < 5
    assert found["MiB"] < 1024
    if expected == "read":
        assert found["outcome"] == "read"
    else:
        assert found["outcome"].startswith("ImageError: ")
        assert expected in found["outcome"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (compressed("50", 64, jpeg(0xC0, 8, 65, huffman() + scan() + b"\xff\xd9")), "65 x 65"),
        (
            compressed("50", 64, jpeg(0xC3, 16, 64, scan() + bytes(600) + b"\xff\xd9")),
            "JPEG Lossless picture is damaged, or",
        ),
        (compressed("90", 64, j2k(BIG)), "7000 x 7000 with 1 components"),
        (compressed("70", 64, jpeg(0xC3, 16, 64, bytes(600) + b"\xff\xd9")), "JPEG Lossless picture is damaged, or"),
    ],
)
def test_a_codestream_that_is_not_what_the_header_says_never_reaches_its_decoder(data: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=what):
        read(data)


def test_every_file_that_pydicom_ships_is_an_image_or_an_error_of_the_tree() -> None:
    root = Path(pydicom.__file__).parent / "data"
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    images = 0
    for path in files:
        for ask in (read, read_header, size):
            try:
                found = ask(path)
            except CxreaderError as error:
                assert "\n" not in str(error)  # noqa: PT017 - one of many files
                continue
            images += isinstance(found, Radiograph)
    assert len(files) > 150
    assert images > 45


def test_odd_names() -> None:
    for name in ("a\0b", "", "no/such\n.dcm", "x" * 5000, "a.zip!/b", "!/"):
        with pytest.raises(ImageError) as caught:
            read(name)
        assert "\n" not in str(caught.value)
