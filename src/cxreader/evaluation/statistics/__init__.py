"""Intervals, tests and metrics: arrays in, estimates out."""
