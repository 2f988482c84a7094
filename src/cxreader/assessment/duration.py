"""How long an evaluation will take, from its first images: said once, where it is worth saying."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from cxreader.progress import Say
from cxreader.records import ImageRecord

WORTH_SAYING = 30.0
"""Seconds from which on the estimate is said."""
_AFTER = 3  # batches: the first warms up, and its decoding overlaps with nothing
_VIEWS = 2  # border and centre, which the audit for shortcuts shows the network besides
_FIXED = {True: 10.0, False: 25.0}  # seconds of baselines, intervals, figures and pages; by `quick`


@dataclass(slots=True)
class Estimate:
    """Watches batches being read and tells once how long all of `records` will take with all that is asked of them."""

    records: Sequence[ImageRecord]
    say: Say
    quick: bool = False
    _batches: int = 0
    _images: int = 0
    _network: float = 0.0
    _since: float = field(default=0.0)

    def after(self, images: int, network: float) -> None:
        """After each batch: how many images it held, and the seconds that the network took for them."""
        self._batches += 1
        if self._batches == 1:
            self._since = time.monotonic()
            return
        self._images, self._network = self._images + images, self._network + network
        if self._batches == _AFTER and self._images:
            each = (time.monotonic() - self._since) / self._images
            seconds = self.seconds(each, self._network / self._images)
            if seconds >= WORTH_SAYING:
                self.say(
                    f"{in_words(seconds)} for {len(self.records):,} images, estimated from the first {images * _AFTER:,}"
                )

    def seconds(self, each: float, network: float) -> float:
        """All images at `each` seconds to decode and read, of which the network takes `network`, and what is asked after."""
        again = 0.0
        if not self.quick:
            again = _VIEWS * len(self.records) + sum(bool(record.boxes) for record in self.records)
        return each * len(self.records) + network * again + _FIXED[self.quick]


def in_words(seconds: float) -> str:
    """`about 40 seconds`, `about 3 minutes`, `about 2.5 hours`: no finer than an estimate is."""
    if seconds < 90:
        return f"about {10 * max(1, round(seconds / 10))} seconds"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
