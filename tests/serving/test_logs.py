"""Logs tell our fixed words, and of what others write the place alone."""

from __future__ import annotations

import io
import json
import logging
import warnings

from cxreader.serving.operations import logs


def test_logs_tell_our_words_and_the_places_of_others() -> None:
    root, kept = logging.getLogger(), logging.getLogger().handlers[:]
    level, ours = root.level, logging.getLogger("cxreader").level
    stream = io.StringIO()
    try:
        logs.set_up("web-0", stream)
        logging.getLogger("cxreader.serving.x").info("request", extra={"route": "/api/v1/studies/{key}", "status": 200})
        logging.getLogger("a.library").warning("Invalid value for VR PN: %s", "Doe^Jane")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("Doe^Jane", UserWarning, stacklevel=1)
        logging.getLogger("sqlalchemy").info("Doe^Jane")
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:] = kept
        root.setLevel(level)
        logging.getLogger("cxreader").setLevel(ours)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["logger"] for one in lines] == ["cxreader.serving.x", "a.library", "py.warnings"]
    assert (lines[0]["text"], lines[0]["route"], lines[0]["status"]) == ("request", "/api/v1/studies/{key}", 200)
    assert all(one["process"] == "web-0" for one in lines)
    assert lines[1]["place"].startswith("test_logs:")
    assert "Doe" not in stream.getvalue()
