"""Where a command writes, checked while its options are read: nothing is computed for a place that cannot be written."""

from __future__ import annotations

from pathlib import Path


def out_folder(path: Path | None) -> Path | None:
    """The folder that an option names. Raises StorageError as `atomic.refuse_unwritable_folder`."""
    from cxreader.atomic import refuse_unwritable_folder

    if path is not None:
        refuse_unwritable_folder(path)
    return path


def out_file(path: Path | None) -> Path | None:
    """The file that an option names. Raises StorageError as `atomic.refuse_unwritable`."""
    from cxreader.atomic import refuse_unwritable

    if path is not None:
        refuse_unwritable(path)
    return path
