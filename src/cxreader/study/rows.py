"""The rows of a study's table: the networks side by side, and what each of them changes in the study's configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cxreader.config import Config, RowSection, with_values
from cxreader.errors import ConfigError, nearest
from cxreader.models.registry import model_entry
from cxreader.models.weights_package import at_hand
from cxreader.reporting.study.published import PUBLISHED, PublishedRow

GRID = {
    "training.fine_tune.learn": ("head", "last_block"),
    "training.fine_tune.lr": (1e-3, 3e-4),
    "training.batch_size": (16, 32),
    "model.dropout": (0.2, 0.3),
}
"""The study's sixteen configurations (its section 4.2)."""
_LITE0 = (
    RowSection(
        name="EfficientNet-Lite0, manual",
        model={"name": "efficientnet_lite0", "weights": "imagenet"},
        training={"phases": ("head",), "head": {"lr": 1e-3}},
    ),
)
_TRIAL = {"phases": ("fine_tune",), "fine_tune": {"lr": 3e-4, "epochs": 15, "patience": 4}}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the study's table, ready to train but for its seed and, with `search`, for what the search will choose.

    `slug`: its name in folder names. `published`: the published figures beside it. `abnormal_share`: to which the learning
    parts are subsampled, `patient_share`: of the patients of the train part; None for the split's own.
    """

    name: str
    slug: str
    config: Config
    published: PublishedRow | None
    search: bool
    abnormal_share: float | None
    patient_share: float | None


def study_rows(config: Config) -> tuple[Row, ...]:
    """The configured rows, or the study's own. Raises ConfigError for a row that names an unknown key or published row."""
    given = config.study.rows or default_rows(config.input.size)
    rows = tuple(_row(config, section) for section in given)
    names = [row.slug for row in rows]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two rows are named {twice!r}", where="study.rows", mend="give each a name of its own")
    return rows


def default_rows(size: int) -> tuple[RowSection, ...]:
    """The study's five networks, the custom CNN at a rate that learns, and one network at 20 abnormal to 80 normal.

    EfficientNet-Lite0 from ImageNet comes last, where its weights are on this machine.

    The custom CNN's first linear layer reads 128 * (size // 8)^2 features that are never negative, so that Adam's first
    step moves its outputs in proportion to their number: 1e-5 at 224 px, and as much more as there are fewer features.
    """
    cnn = {"name": "chestxray_cnn", "weights": "none", "dropout": 0.5}
    learns = float(f"{1e-5 * (224 // 8) ** 2 / (size // 8) ** 2:.1g}")
    phases = {"head": {"lr": 1e-3}, "fine_tune": {"lr": 1e-4}}
    patient = {name: {**phase, "epochs": 20, "patience": 5} for name, phase in phases.items()}
    return (
        RowSection(
            name="Custom CNN, the study's rate",
            published="custom_cnn",
            model=cnn,
            training={"phases": ("full",), "full": {"lr": 1e-3}},
        ),
        RowSection(name="Custom CNN that learns", model=cnn, training={"phases": ("full",), "full": {"lr": learns}}),
        RowSection(name="ResNet18, two phases", published="resnet18", model={"name": "resnet18"}, training=phases),
        RowSection(
            name="DenseNet121, two phases", published="densenet121", model={"name": "densenet121"}, training=patient
        ),
        RowSection(
            name="EfficientNet-B0, manual",
            published="efficientnet_b0_classifier",
            model={"name": "efficientnet_b0"},
            training={"phases": ("head",), "head": {"lr": 1e-3}},
        ),
        RowSection(
            name="EfficientNet-B0, best of the grid",
            published="efficientnet_b0_best_of_16",
            search=True,
            model={"name": "efficientnet_b0"},
            training=_TRIAL,
        ),
        RowSection(name="ResNet18, trained at 20/80", abnormal_share=0.2, model={"name": "resnet18"}, training=phases),
        *(_LITE0 if at_hand(model_entry("efficientnet_lite0")) else ()),
    )


def described(config: Config, names: Sequence[str]) -> str:
    """A sentence on how a row was trained: of each phase in `names` what learns, rate, epochs and patience; batch, dropout."""
    learns = {"head": "classifier", "last_block": "last block and classifier", "all": "everything"}
    sections = {name: getattr(config.training, name) for name in names}
    phases = [
        f"{learns.get(s.learn, f'from {s.learn} on')} at {s.lr:g} (at most {s.epochs} epochs, patience {s.patience})"
        for s in sections.values()
    ]
    rest = f"{config.training.optimizer.capitalize()}, batch {config.training.batch_size}, dropout {config.model.dropout:g}"
    return f"{', then '.join(phases)}; {rest}"


def _row(config: Config, section: RowSection) -> Row:
    if section.published is not None and section.published not in PUBLISHED:
        raise ConfigError(
            f"no published row is named {section.published!r}",
            where=f"study.rows, {section.name!r}",
            mend=nearest(section.published, PUBLISHED),
        )
    name = section.model.get("name", config.model.name)
    own = {"weights": config.study.weights[name]} if name in config.study.weights else {}
    values: dict[str, Any] = {"model": {**own, **section.model}, "training": section.training}
    if section.search and not config.study.space:
        values["study"] = {"space": GRID}
    slug = re.sub(r"[^a-z0-9]+", "-", section.name.lower()).strip("-")
    published = PUBLISHED[section.published] if section.published else None
    shares = section.abnormal_share, section.patient_share
    return Row(section.name, slug, with_values(config, values), published, section.search, *shares)
