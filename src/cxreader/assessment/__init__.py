"""Judging one model, or one table of predictions, on patients it never met."""
