"""cxreader: an open second reader for frontal chest radiographs. For research; not a medical device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxreader.errors import CxreaderError
    from cxreader.imaging.radiograph import Radiograph
    from cxreader.inference.reader import Reader
    from cxreader.records import OperatingPoint, Reading

__all__ = ["CxreaderError", "OperatingPoint", "Radiograph", "Reader", "Reading"]

_HOMES = {
    "CxreaderError": "cxreader.errors",
    "OperatingPoint": "cxreader.records",
    "Radiograph": "cxreader.imaging.radiograph",
    "Reader": "cxreader.inference.reader",
    "Reading": "cxreader.records",
}


def __getattr__(name: str) -> Any:
    """The public face, imported when it is asked for: `import cxreader` itself loads nothing.

    `__version__` is that of the installed distribution, which has it from `pyproject.toml`.
    """
    if name == "__version__":
        from importlib.metadata import version

        return version("cxreader")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """What the public face lists, and the version."""
    return [*__all__, "__version__"]
