"""Logs as JSON, a line a record, on standard error; systemd and containers keep them.

Our own records are fixed words with ids, counts and seconds. What libraries write may quote a patient: of their records the place
is told, and not the text.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

OURS = "cxreader"
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A record as JSON: `at`, `level`, `process`, `logger`, `text` of ours alone, and what came as `extra`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
        }
        if record.name.partition(".")[0] == OURS:
            told["text"] = record.msg
            told |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        else:
            told["place"] = f"{record.module}:{record.lineno}"
        return json.dumps(told, default=str)


def set_up(process: str, stream: TextIO | None = None) -> None:
    """From here on this process logs so: ours from `info` on, others from `warning` on; warnings of Python too."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(process))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(OURS).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


def frames_of(error: BaseException) -> list[str]:
    """Where an error came from: module and line of each frame, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno}" for frame in frames][-12:]
