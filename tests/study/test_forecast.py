"""What a study would cost, counted by hand from given rates."""

from __future__ import annotations

import math

import pytest

from cxreader.config import parse_config, with_values
from cxreader.study import forecast as module
from cxreader.study.forecast import Rates, forecast


def _silent(_: str) -> None:
    return


def test_hours_are_first_passes_and_epochs_over_the_measured_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """800 images: 560 train, 60 tune; the images as they are, then four views of each.

    100 images/s frozen, 50 (head) and 20 (last block, or all) learning.
    """

    def rates(config: object, phases: list[tuple[str, str]], device: object) -> Rates:
        speed = {"head": 50.0, "fine_tune": 20.0, "full": 20.0}
        stored = [name for name, learn in phases if learn != "all"]
        return Rates(100.0 if stored else math.inf, {name: speed[name] for name, _ in phases})

    monkeypatch.setattr(module, "_rates", rates)
    config = parse_config({"data": {"root": "x"}, "study": {"seeds": 2}})
    found = {row.name: row for row in forecast(config, 800, say=_silent)}
    epoch = 560 + 60 / 3  # a tune image is read, not learnt: a third of the work
    resnet = found["ResNet18, two phases"]
    assert (resnet.trainings, resnet.epochs) == (2, 30)
    assert resnet.first_pass == pytest.approx((560 + 60) / 100)  # as they are: the same for every seed
    assert resnet.seconds == pytest.approx(resnet.first_pass + 2 * 15 * epoch * (1 / 50 + 1 / 20))
    grid = found["EfficientNet-B0, best of the grid"]
    assert grid.trainings == 16 + 2
    assert grid.seconds == pytest.approx(grid.first_pass + 18 * 15 * epoch / 20)
    cnn = found["Custom CNN that learns"]
    assert cnn.first_pass == 0
    assert cnn.seconds == pytest.approx(2 * 15 * epoch / 20)
    config = with_values(config, {"training.views": 4})
    augmented = {row.name: row for row in forecast(config, 800, say=_silent)}
    assert augmented["ResNet18, two phases"].first_pass == pytest.approx(2 * (4 * 560 + 60) / 100)  # each seed's own
    plain = {row.name: row for row in forecast(with_values(config, {"augment": None}), 800, say=_silent)}
    assert plain["ResNet18, two phases"].first_pass == pytest.approx((560 + 60) / 100)  # nothing is drawn


def test_a_network_that_learns_phantoms_first_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cxreader data phantom --patients 400 --seed 0` draws 674 images."""

    def rates(config: object, phases: list[tuple[str, str]], device: object) -> Rates:
        return Rates(100.0, {name: 20.0 for name, _ in phases})

    monkeypatch.setattr(module, "_rates", rates)
    network = {"name": "resnet18", "weights": "phantoms"}
    rows = [{"name": name, "model": network} for name in ("A", "B")] + [{"name": "C", "model": {"name": "resnet18"}}]
    study = {"rows": rows, "pretrain": {"patients": 400, "epochs": 3, "seed": 0}}
    found = forecast(parse_config({"data": {"root": "x"}, "input": {"size": 32}, "study": study}), 800, say=_silent)
    assert [row.name for row in found] == ["resnet18, 32 px: phantoms first", "A", "B", "C"]
    assert (found[0].trainings, found[0].epochs) == (1, 3)
    assert found[0].seconds == pytest.approx(3 * (0.7 * 674 + 0.075 * 674 / 3) / 20)


def test_rates_are_measured_for_every_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.01)
    row = {"name": "A", "model": {"name": "resnet18"}}
    config = parse_config({"data": {"root": "x"}, "input": {"size": 32}, "study": {"rows": [row], "seeds": 1}})
    (found,) = forecast(config, 100, say=_silent)
    assert set(found.rates.learning) == {"head", "fine_tune"}
    assert 0 < found.rates.frozen < math.inf
    # A head on stored vectors learns faster than a last block on stored maps.
    assert found.rates.learning["head"] > found.rates.learning["fine_tune"]
