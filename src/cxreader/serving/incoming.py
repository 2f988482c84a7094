"""Where files lie while they arrive: in the home, a folder a door, each of which may remove nothing but its own."""

from __future__ import annotations

from pathlib import Path

FOLDER = "incoming"
ABANDONED = 3600.0
"""Seconds after which a file there belongs to a sender who went away."""


def made(home: Path, door: str) -> Path:
    """The folder of a door, made where it is not there, for its owner alone."""
    folder = home / FOLDER / door
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def remove(folder: Path, *, before: float) -> None:
    """Remove what was last written before that moment (seconds since 1970): what a killed process left, or a sender."""
    for file in folder.iterdir():
        if file.stat().st_mtime < before:
            file.unlink(missing_ok=True)
