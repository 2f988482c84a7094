"""Artifacts that are handed on: published to a place, fetched from one, every file checked by its hash."""
