"""Files of others are those that the table names, byte for byte."""

from __future__ import annotations

import hashlib
import re

from cxreader.serving.web.static_files import STATIC

ROW = re.compile(r"^\| (\S+) \| \S+ \| [\d.]+ \| [\w.-]+ \| ([0-9a-f]{64}) \|$", re.M)


def test_each_is_told_with_its_digest() -> None:
    folder = STATIC / "vendor"
    told = dict(ROW.findall((folder / "VENDORED.md").read_text("utf-8")))
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.name != "VENDORED.md"}
    assert "htmx-2.0.8.min.js" in found
    assert told == found
