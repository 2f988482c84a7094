"""The file in which a data set grows while it arrives; a full disk does not end the association, but is answered at the end."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


class Arriving:
    """A file in the folder of arriving data sets, as pynetdicom wants it: `name`, `write`, `file.flush`, `close`.

    Where it cannot be written it is removed and what comes is dropped: the handler of C-STORE finds no file, and answers that the
    node is out of resources (A700). An error raised here would have the library abort the association without a status.
    """

    def __init__(self, *_: object, **__: object) -> None:
        self.name = str(Path(tempfile.gettempdir()) / f"{secrets.token_hex(16)}.dcm")
        self.file = self
        self._open: BinaryIO | None = None
        with suppress(OSError):
            self._open = open(os.open(self.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)  # noqa: PTH123, SIM115

    def write(self, data: bytes) -> int:
        """More of the data set."""
        try:
            if self._open is not None and self._open.write(data) < len(data):  # a disk that has room for a part
                self._give_up()
        except OSError:
            self._give_up()
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """It is whole, or not needed any more."""
        if self._open is not None:
            self._open.close()

    def _give_up(self) -> None:
        self.close()
        self._open = None
        Path(self.name).unlink(missing_ok=True)
