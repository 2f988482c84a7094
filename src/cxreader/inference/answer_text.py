"""Probabilities in words: the digits that every page, table and picture shows of them."""

from __future__ import annotations


def probability_text(probability: float | None, threshold: float) -> str:
    """Three digits, which lie on that side of the threshold's three digits where the probability lies."""
    if probability is None:
        return ""
    digits = round(probability, 3)
    if probability < threshold and digits >= round(threshold, 3) > 0:
        digits = round(threshold, 3) - 0.001
    return f"{digits:.3f}"


def interval_text(probability: float, low: float, high: float, threshold: float) -> str:
    """Three digits each, between which those of `probability_text` lie."""
    digits = probability_text(probability, threshold)
    return f"{min(f'{low:.3f}', digits)}-{max(f'{high:.3f}', digits)}"
