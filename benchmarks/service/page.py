"""stub"""

from pathlib import Path


def write_page(out: Path) -> None:
    """Stub."""
