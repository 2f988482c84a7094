"""Judging predictions: handed arrays, never images or models; numpy, scipy and scikit-learn only."""
