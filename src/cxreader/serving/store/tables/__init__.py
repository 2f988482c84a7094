"""The tables of the database, one file a theme. `metadata` (in `base`) knows them all once this room is imported."""

from cxreader.serving.store.tables import images, people, readings, sending, trail  # noqa: F401
