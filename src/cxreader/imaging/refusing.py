"""What a decoder raises becomes one error of the tree: decoders raise whatever they like, and may quote what they read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cxreader.errors import CxreaderError, ImageError

PERHAPS = (
    "copy the file again from its source; if another program opens it, save it with that one as PNG or plain DICOM"
)
"""The mend where a decoder gave up: the file is damaged, or unusual in a way that this decoder does not read."""

NO_MEMORY = "there is not enough memory to decode it"


@contextmanager
def refusing(what: str, label: str) -> Iterator[None]:
    """Any exception within becomes an ImageError that begins with `what`; those of the tree pass, `label` names the file."""
    try:
        yield
    except CxreaderError:
        raise
    except MemoryError:
        mend = "free memory, or reduce the image"
        raise ImageError(NO_MEMORY, where=label, mend=mend) from None
    except Exception as error:  # noqa: BLE001 - see above
        if isinstance(error.__context__, CxreaderError):  # of the bounded file; pydicom hides it behind its own
            raise error.__context__ from None
        raise ImageError(f"{what} ({type(error).__name__})", where=label, mend=PERHAPS) from None
