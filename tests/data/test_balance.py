"""What is drawn from a part: which images, by a hash computed here from its published definition, and how many."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cxreader.data.balance import draw, wanted_shares
from cxreader.data.index import Index
from cxreader.data.salt import order_key
from cxreader.data.split import PARTS, make_split
from cxreader.records import ImageRecord

WHOLE = 1 << 64


def _splitmix(number: int, salt: int) -> int:
    """Splitmix64 (Steele, Lea and Flood 2014) in plain integers: the finaliser of number + (salt + 1) golden ratios."""
    z = (number + (salt + 1) * 0x9E3779B97F4A7C15) % WHOLE
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % WHOLE
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % WHOLE
    return z ^ (z >> 31)


def _place(record: ImageRecord, salt: int) -> int:
    name = f"{record.source}\x1fimage:{record.image}".encode()
    number = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
    return _splitmix(number ^ 0xA0761D6478BD642F, salt)


@pytest.mark.parametrize("salt", [0, 7])
def test_the_images_drawn_are_the_first_of_each_class_by_hash(salt: int) -> None:
    records = [ImageRecord(f"{n:03d}.png", n % 2, source="ward") for n in range(60)]
    drawn = draw(dict.fromkeys(PARTS, records), salt, (0.7, 0.15, 0.15), "equal", None, 40)["train"]
    by_hand = sorted(records, key=lambda record: _place(record, salt))
    expected = [record for label in (0, 1) for record in [r for r in by_hand if r.label == label][:14]]
    assert drawn == expected
    assert [r.image for r in by_hand] != sorted(r.image for r in by_hand)
    natural = draw(dict.fromkeys(PARTS, records), salt, (0.7, 0.15, 0.15), "natural", None, 40)["train"]
    assert natural == expected  # half of them are abnormal
    rare = [replace(record, label=int(n < 3)) for n, record in enumerate(records)]
    parts = draw(dict.fromkeys(PARTS, rare), salt, (0.7, 0.15, 0.15), "natural", None, 40)
    assert [sum(r.label for r in parts[part]) for part in PARTS] == [1, 1, 1, 1]
    assert [len(parts[part]) for part in PARTS] == [28, 3, 3, 6]


def test_the_order_of_surplus_is_not_that_of_the_parts() -> None:
    """A patient's part comes from the hash itself; were surplus dropped by it too, each part would keep one end of its range."""
    numbers = np.arange(1000, dtype=np.uint64)
    assert order_key(numbers, 3).tolist() == [_splitmix(int(n) ^ 0xA0761D6478BD642F, 3) for n in numbers]


def test_a_size_gives_each_part_its_share_to_the_image(people: Callable[..., Index]) -> None:
    """0.7 * 360 is 251.99999999999997 in floating point, and 252 images."""
    assert 0.7 * 360 < 252
    split = make_split(people(800, rate=0.5), balance="natural", size=360)
    assert [len(split.parts[part]) for part in PARTS] == [252, 27, 27, 54]


def test_shares_of_the_official_kind_leave_the_test_part_out() -> None:
    assert wanted_shares((0.7, 0.15, 0.15)) == (0.7, 0.075, 0.075, 0.15)
    train, tune, calibrate = wanted_shares((0.7, 0.15, 0.15), official=True)
    assert (train, tune, calibrate) == pytest.approx((0.7 / 0.85, 0.075 / 0.85, 0.075 / 0.85))
