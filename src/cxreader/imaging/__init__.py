"""Pixels in, arrays out."""
