from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from cxreader.config import Config, load_config, parse_config, with_values
from cxreader.errors import ConfigError

PROJECT = Path(__file__).resolve().parents[1]
MINIMAL = {"data": {"root": "somewhere"}}


def _file(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_defaults_are_the_studys() -> None:
    """Head at 1e-3, then the last block at 1e-4, Adam, batch 32, at most 15 epochs, patience 3, by tune accuracy, 224 px."""
    config = parse_config(MINIMAL)
    t = config.training
    assert t.phases == ("head", "fine_tune")
    assert (t.head.learn, t.head.lr, t.head.epochs, t.head.patience) == ("head", 1e-3, 15, 3)
    assert (t.fine_tune.learn, t.fine_tune.lr, t.fine_tune.epochs, t.fine_tune.patience) == ("last_block", 1e-4, 15, 3)
    assert (t.optimizer, t.batch_size, t.monitor, t.schedule) == ("adam", 32, "accuracy", "constant")
    assert (config.input.size, config.seed, config.split.balance) == (224, 42, "equal")
    assert config.split.shares == (0.70, 0.15, 0.15)
    assert config.augment is not None
    assert not config.augment.horizontal_flip


def test_defaults_then_file_then_overrides(tmp_path: Path) -> None:
    path = _file(tmp_path, 'seed = 1\n[data]\nroot = "a"\n[training.head]\nlr = 0.01\n')
    config = load_config(path, ["seed=2", "training.fine_tune.lr=3e-5", "model.name=densenet121", "augment=false"])
    assert (config.seed, config.training.head.lr, config.training.fine_tune.lr) == (2, 0.01, 3e-5)
    assert config.model.name == "densenet121"
    assert config.augment is None
    assert config.training.head.learn == "head"
    assert load_config(path, ["training.full.lr=1e-4"]).training.full.learn == "all"


@pytest.mark.parametrize(
    ("override", "where", "mend"),
    [
        ("trainin.batch_size=3", "trainin", "did you mean 'training'"),
        ("training.batchsize=3", "training.batchsize", "did you mean 'batch_size'"),
        ("training.head.learning=3", "training.head.learning", "did you mean 'learn'"),
        ("augment.rotate=3", "augment.rotate", "did you mean 'rotation'"),
        ("training.monitor=auk", "training.monitor", "auk"),
        ("training.head.lr=-1", "training.head.lr", "greater than 0"),
        ("seed=many", "seed", "many"),
        ("data.root.deep=1", "data.root.deep", "not a section"),
    ],
)
def test_a_wrong_key_or_value_names_its_dotted_path_and_the_nearest(
    tmp_path: Path, override: str, where: str, mend: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(_file(tmp_path, '[data]\nroot = "a"\n'), [override])
    assert caught.value.where == where
    assert mend in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_missing_key_a_torn_file_and_no_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data: is missing"):
        load_config(_file(tmp_path, "seed = 3\n"))
    with pytest.raises(ConfigError, match="not a readable TOML"):
        load_config(_file(tmp_path, "seed = = 3\n"))
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="key=value"):
        load_config(_file(tmp_path, '[data]\nroot = "a"\n'), ["seed"])


def test_sections_are_frozen_and_survive_json() -> None:
    config = parse_config(MINIMAL)
    with pytest.raises(ValidationError):
        config.seed = 3  # type: ignore[misc]
    assert Config.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("path", sorted((PROJECT / "src/cxreader/configs").glob("*.toml")), ids=lambda p: p.stem)
def test_every_committed_config_is_valid_and_says_what_it_costs(path: Path) -> None:
    load_config(path)
    assert path.read_text().startswith("#")


def test_values_at_dotted_keys_replace_what_they_name_alone() -> None:
    config = parse_config({"data": {"root": "x", "name": "n"}, "training": {"head": {"epochs": 2}}})
    changed = with_values(config, {"data.cache": "c", "training.head.lr": 0.5, "model": {"name": "densenet121"}})
    assert (changed.data.root, changed.data.name, changed.data.cache) == ("x", "n", "c")
    assert (changed.training.head.epochs, changed.training.head.lr) == (2, 0.5)
    assert (changed.model.name, changed.model.dropout) == ("densenet121", 0.2)
    assert config.data.cache is None
    with pytest.raises(ConfigError, match=r"training\.heat.*did you mean 'head'"):
        with_values(config, {"training.heat.lr": 0.5})


def test_a_wrong_key_of_one_of_several_is_refused_with_its_place_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"data\.sources\.1\.rot.*did you mean 'root'"):
        parse_config({"data": {"sources": [{"root": "a"}, {"root": "b", "rot": "c"}]}})
    with pytest.raises(ConfigError, match=r"data\.sources\.0\.root: is missing; add it$"):
        parse_config({"data": {"sources": [{"name": "a"}]}})


def test_what_an_earlier_version_left_out_means_what_it_meant_then() -> None:
    """Four views were stored where a kept configuration names none; one is, where today's names none."""
    assert parse_config({"data": {"root": "x"}}).training.views == 1
    kept = parse_config({"data": {"root": "x"}, "training": {"views": None}})
    assert kept.training.views == 4
    assert parse_config(kept.model_dump(mode="json")).training.views == 4


INSIDE_AND_OUTSIDE: list[tuple[str, list[object], list[object]]] = [
    ("seed", [0], [-1]),
    ("input.size", [32, 4096], [31, 4097]),
    ("split.size", [8], [7]),
    ("split.abnormal_share", [0, 1], [-0.01, 1.01]),
    ("data.workers", [1], [0]),
    ("augment.rotation", [0, 180], [-1, 181]),
    ("augment.shift", [0, 1], [-0.01, 1.01]),
    ("model.dropout", [0, 0.99], [-0.01, 1]),
    ("training.batch_size", [2], [1]),
    ("training.weight_decay", [0], [-1e-9]),
    ("training.label_smoothing", [0, 0.99], [-0.01, 1]),
    ("training.views", [1], [0]),
    ("training.phases", [["full"]], [[]]),
    ("training.head.lr", [1e-12], [0]),
    ("training.head.epochs", [1], [0]),
    ("training.head.patience", [1], [0]),
    ("calibration.operating_points", [["youden: youden"]], [[]]),
    ("calibration.alpha", [0.001, 0.999, "none"], [0, 1, "some"]),
    ("calibration.false_refusals", [0.001, 0.999, "none"], [0, 1, "some"]),
    ("calibration.disagreement", [0, 1], [-0.01, 1.01]),
    ("study.seeds", [1], [0]),
    ("study.trials", [1], [0]),
    ("study.pretrain.patients", [40], [39]),
    ("study.pretrain.epochs", [1], [0]),
    ("study.pretrain.seed", [0], [-1]),
]


@pytest.mark.parametrize(("key", "inside", "outside"), INSIDE_AND_OUTSIDE, ids=[line[0] for line in INSIDE_AND_OUTSIDE])
def test_a_value_at_its_bound_is_taken_and_one_beyond_is_refused(
    key: str, inside: list[object], outside: list[object]
) -> None:
    config = parse_config(MINIMAL)
    for value in inside:
        found: object = with_values(config, {key: value})
        for name in key.split("."):
            found = getattr(found, name)
        assert found == (tuple(value) if isinstance(value, list) else value)
    for value in outside:
        with pytest.raises(ConfigError) as caught:
            with_values(config, {key: value})
        of_both = caught.value.where == "calibration" and "lies not between 0 and 1" in str(caught.value)
        assert of_both or str(caught.value.where).startswith(key)


def test_the_share_of_a_row_lies_between_nothing_and_all() -> None:
    def row(share: float) -> Config:
        return parse_config({**MINIMAL, "study": {"rows": [{"name": "A", "abnormal_share": share}]}})

    assert row(0.01).study.rows[0].abnormal_share == 0.01
    for share in (0, 1):
        with pytest.raises(ConfigError, match=r"study\.rows\.0\.abnormal_share: .* than"):
            row(share)


def test_all_that_is_wrong_is_told_at_once_each_with_its_path_and_the_nearest_name(tmp_path: Path) -> None:
    text = """
        sed = 3
        [data]
        root = "a"
        knd = "nih"
        [training.head]
        lr = -1
        lrn = 2
        [calibration]
        alpha = "non"
        [study.space]
        "training.batch_size" = {low = 1, hihg = 3}
        [[study.rows]]
        nam = "x"
    """
    with pytest.raises(ConfigError) as caught:
        load_config(_file(tmp_path, text))
    told = str(caught.value)
    assert told.startswith("9 settings are wrong: (1) ")
    assert "\n" not in told
    for fault in (
        "sed: unknown key; did you mean 'seed'?",
        "data.knd: unknown key; did you mean 'kind'?",
        "training.head.lr: input should be greater than 0, got -1",
        "training.head.lrn: unknown key; did you mean 'lr'?",
        "calibration.alpha: input should be a valid number, unable to parse string as a number, got 'non'; or did you mean "
        "'none'?",
        "study.space.training.batch_size.high: is missing; add it (",
        "study.space.training.batch_size.hihg: unknown key; did you mean 'high'?",
        "study.rows.0.name: is missing; add it (",
        "study.rows.0.nam: unknown key; did you mean 'name'?",
    ):
        assert f") {fault}" in told
    assert told.count(") ") == 9


def test_a_setting_that_no_type_takes_is_one_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(_file(tmp_path, '[data]\nroot = "a"\n[study.space]\nc = 3\n'))
    assert caught.value.where == "study.space.c"
    assert "valid tuple, got 3" in str(caught.value)


def test_the_configuration_that_a_run_keeps_is_read_as_the_same_configuration(tmp_path: Path) -> None:
    config = load_config(_file(tmp_path, '[data]\nroot = "a"\n[augment]\nrotation = 3\n'), ["calibration.alpha=none"])
    kept = tmp_path / "config.json"
    kept.write_text(json.dumps(config.model_dump(mode="json")))
    assert load_config(kept) == config
    assert load_config(kept, ["training.batch_size=8"]).training.batch_size == 8
    kept.write_text("[1]")
    with pytest.raises(ConfigError, match="not a readable JSON file"):
        load_config(kept)
    kept.write_text("{")
    with pytest.raises(ConfigError, match="not a readable JSON file"):
        load_config(kept)
