"""What may be searched: wrong spaces are refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.study.search.world import SPACE, learning_config, silent

from cxreader import torch_setup  # noqa: F401

# isort: split

from cxreader.config import load_config, parse_config, with_values
from cxreader.errors import ConfigError, UsageError
from cxreader.study.search.search import search
from cxreader.study.search.space import network_variants, read_space, require_effect

PROJECT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("space", "study", "message"),
    [
        ({"training.fine_tune.lrr": [1.0]}, {}, r"training\.fine_tune\.lrr: unknown key; did you mean 'lr'\?"),
        ({"modl.dropout": [0.1]}, {}, r"modl: unknown key; did you mean 'model'\?"),
        ({"training.batch_size.x": [1]}, {}, r"'batch_size' holds a value, not a section"),
        (
            {"training.fine_tune.learn": ["head", "heads"]},
            {},
            r"training\.fine_tune\.learn: .*'heads'; did you mean 'head'",
        ),
        ({"training.fine_tune": [1]}, {}, r"training\.fine_tune"),
        ({"seed": [1, 2]}, {}, "same images and the same seed"),
        ({"training.monitor": ["auc", "loss"]}, {}, "not comparable"),
        ({"model.dropout": [0.1, 0.1]}, {}, "a value stands twice"),
        ({"model.dropout": []}, {}, "no value"),
        ({}, {}, "nothing to search"),
        ({"model.dropout": {"low": 0.1, "high": 0.5}}, {}, r"study\.trials: is needed"),
        ({"model.dropout": {"low": 0.5, "high": 0.1}}, {"trials": 3}, "is no range"),
        ({"model.dropout": {"low": 0.0, "high": 0.1, "log": True}}, {"trials": 3}, "logarithmic"),
        ({"model.dropout": {"low": 0.1, "high": 0.5}}, {"trials": 3, "sampler": "grid"}, "a grid has no ranges"),
        ({"model.dropout": {"low": 0.1, "high": 1.5}}, {"trials": 3}, r"model\.dropout"),
        ({"model.dropout": [0.1, 0.2]}, {"trials": 2}, "a grid takes every point once"),
        ({"model.dropout": [0.1, 0.2]}, {"trials": 3, "sampler": "tpe"}, "3 trials of 2 distinct points"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_space_is_refused_before_anything_runs(
    space: dict[str, Any], study: dict[str, Any], message: str, world: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        search(learning_config(world, space, **study), tmp_path / "out", say=silent)
    assert not (tmp_path / "out").exists()


def test_values_are_held_as_the_configuration_reads_them(world: Path) -> None:
    space = read_space(
        learning_config(
            world,
            {"training.batch_size": {"low": 8, "high": 10}, "model.dropout": {"low": 0.1, "high": 0.2}},
            trials=5,
        )
    )
    assert space.whole == {"training.batch_size"}
    assert space.size() is None
    whole = read_space(learning_config(world, {"training.batch_size": {"low": 8, "high": 10}}, trials=3))
    assert [point["training.batch_size"] for point in whole.points()] == [8, 9, 10]


def test_without_pretrained_weights_a_space_of_frozen_stages_is_refused(world: Path, tmp_path: Path) -> None:
    config = with_values(learning_config(world), {"model.weights": "none"})
    with pytest.raises(
        UsageError, match=r"without pretrained weights.*training\.fine_tune\.lr has no effect.*training\.full"
    ):
        search(config, tmp_path / "out", say=silent)
    searches_full = with_values(config, {"model.dropout": 0.1})
    space = read_space(parse_config({**searches_full.model_dump(), "study": {"space": {"training.full.lr": [1e-3]}}}))
    require_effect(space, config, ["full"], pretrained=False)
    with pytest.raises(UsageError, match=r"'full' is not among training\.phases"):
        require_effect(space, config, ["fine_tune"], pretrained=True)


def test_a_space_of_augmentations_is_refused_where_no_phase_is_shown_them(world: Path) -> None:
    def effect(values: dict[str, object], space: dict[str, object], phase: str = "fine_tune") -> None:
        config = with_values(learning_config(world, {"augment.rotation": [0.0, 5.0], **space}), values)
        require_effect(read_space(config), config, [phase], pretrained=True)

    plain = {"training.views": 1, "training.prefix_cache": True, "training.fine_tune.learn": "last_block"}
    with pytest.raises(UsageError, match=r"augment\.rotation has no effect.*training\.views = 4"):
        effect(plain, {})
    effect({**plain, "training.views": 2}, {})
    effect({**plain, "training.prefix_cache": False}, {})
    effect(plain, {"training.views": [1, 2]})
    effect(plain, {}, "full")


def test_the_frozen_outputs_of_one_network_are_prepared_in_one_pass(world: Path) -> None:
    space = {"training.fine_tune.learn": ["head", "last_block"], "model.name": ["resnet18", "densenet121"], **SPACE}
    config = learning_config(world, space)
    variants = network_variants(read_space(config), config)
    found = [[(c.model.name, c.training.fine_tune.learn) for c in together] for together in variants]
    assert found == [[(name, "head"), (name, "last_block")] for name in ("resnet18", "densenet121")]


def test_the_shipped_grid_is_the_studys_sixteen() -> None:
    config = load_config(PROJECT / "src/cxreader/configs/grid.toml")
    space = read_space(config)
    assert space.size() == 16
    assert (config.model.name, config.seed, config.training.optimizer) == ("efficientnet_b0", 42, "adam")
    assert (config.training.fine_tune.epochs, config.training.fine_tune.patience) == (15, 4)
    assert config.training.phases == ("fine_tune",)
    assert config.training.monitor == "accuracy"
    assert config.augment is not None


def test_a_key_that_is_no_key_is_a_configuration_error(world: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'dropout'"):
        read_space(learning_config(world, {"model.dropuot": [0.1]}))
