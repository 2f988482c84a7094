"""One exception tree. Every message says what is wrong, where, and how to mend it.

    CxreaderError                exit code
    +-- UsageError                    2     a wrong option, argument or combination
    |   +-- ConfigError                     a key or value of a configuration
    |   +-- SilentError                     something that a silent service shows to nobody
    +-- DataError                     3     something in the user's data
    |   +-- ImageError                      one image that cannot be read
    |   +-- TableError                      a table or a row of it
    |   +-- SplitError                      a split that does not hold
    |   +-- CacheError                      a pixel cache that does not fit its source
    |   +-- AbsentError                     a study, image or result that the service does not have
    +-- ModelError                    4     a network, its weights or its artifact
    |   +-- WeightsError
    |   +-- ArtifactError
    +-- MissingDependencyError        5     an optional package, with the line that installs it
    |   +-- MissingDecoderError               the one that an image needs; an ImageError as well
    +-- StorageError                  6     a disk that is full or not writable, a database that cannot be reached
        +-- MissingObjectError              a file that the service's store should hold, absent or damaged

Two exit codes are no errors: 1 says that an audit ran and found something, 130 that the user interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class CxreaderError(Exception):
    """Root of the tree: `what` went wrong, `where` (file, row, dotted key), and the `mend`; printed as one line."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str | os.PathLike[str] | None = None, mend: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else os.fspath(where)
        self.mend = mend
        super().__init__(what, self.where, mend)

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        text = text if self.mend is None else f"{text}; {self.mend}"
        return text.replace("\r", " ").replace("\n", " ")

    def __reduce__(self) -> tuple[object, ...]:
        """Keyword arguments survive pickling, so that an error crosses a process boundary whole."""
        return _rebuild, (type(self), self.what, self.where, self.mend)


def _rebuild(kind: type[CxreaderError], what: str, where: str | None, mend: str | None) -> CxreaderError:
    return kind(what, where=where, mend=mend)


class UsageError(CxreaderError):
    """A wrong option, argument or combination of them."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration key or value; `where` is its dotted path."""


class SilentError(UsageError):
    """A list or an answer of a service that is silent: it reads and keeps everything, and shows nothing."""


class DataError(CxreaderError):
    """Something in the user's data."""

    exit_code = 3


class ImageError(DataError):
    """One image that cannot be read as a radiograph."""


class TableError(DataError):
    """A table, or one row of it."""


class SplitError(DataError):
    """A split that is missing, damaged or does not fit its data."""


class CacheError(DataError):
    """A pixel cache that does not fit its source."""


class AbsentError(DataError):
    """A study, image, result or user that the service does not have."""


class ModelError(CxreaderError):
    """A network that cannot be built or used."""

    exit_code = 4


class WeightsError(ModelError):
    """Weights that are absent or belong to another network."""


class ArtifactError(ModelError):
    """An artifact that is damaged or does not match what is asked of it."""


class MissingDependencyError(CxreaderError):
    """An optional package that is not installed; the mend is the line that installs it."""

    exit_code = 5


class MissingDecoderError(MissingDependencyError, ImageError):
    """An image whose compression needs a package that is not installed.

    Where many images are read it is one that cannot be (an ImageError), a row with its reason.
    """


class StorageError(CxreaderError):
    """A disk that is full, a place that cannot be written, a database or store that cannot be reached."""

    exit_code = 6


class MissingObjectError(StorageError):
    """A file that the service's object store should hold, and that is absent or damaged."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The mend for a misspelt name: the nearest known one, or the whole list when none is near."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
