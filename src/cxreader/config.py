"""Frozen sections of a configuration: defaults < TOML < `--set`. No torch; only a stage's top function takes a section."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from cxreader.codec import FieldError, in_words
from cxreader.config_errors import explained
from cxreader.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Three = tuple[float, float, float]


class Section(BaseModel):
    """Frozen; an unknown key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PhantomSection(Section):
    """Phantoms that a study draws for itself: patients, seed, side in pixels."""

    patients: int = Field(700, ge=40)
    seed: int = Field(0, ge=0)
    size: int = Field(256, ge=64, le=4096)


Kind = Literal[
    "nih",
    "kermany",
    "chexpert",
    "rsna",
    "vindr",
    "padchest",
    "mimic",
    "shenzhen",
    "montgomery",
    "tbx11k",
    "siim",
    "openi",
    "covid",
    "jsrt",
    "table",
    "folder",
    "dicom",
]
"""How labelled images lie: a public set by its name in `data.layouts.registry`, or one of people's own ways."""
SourceKind = Literal["auto", Kind]
Uncertain = Literal["abnormal", "normal", "drop"]
"""What an uncertain label becomes."""


class SourceSection(Section):
    """One of several sources that are read together. `name` is where its patients are known; its folder's when left out.

    `ppv`, `npv`: the share of its images labelled abnormal that are abnormal, and of those labelled normal that are normal:
    a network learns these probabilities in place of the labels. `readings`: a table of what several readers said (image,
    reader, label), found as `root` is or in it: of each image that readers saw it learns the share who called it abnormal.
    `only_train`: its images teach, and stand in no other part. `weight`: of the loss of each of its images, against that of
    another source's; of weight 0 its images teach a region head where findings lie, and the classifier never meets them.
    `min_age`: images of patients known to be younger, in years, are left out.
    """

    root: str = Field(min_length=1)
    kind: SourceKind = "auto"
    tables: str | None = None
    name: str | None = None
    uncertain: Uncertain | None = None
    ppv: Share = 1.0
    npv: Share = 1.0
    readings: str | None = None
    only_train: bool = False
    weight: float = Field(1.0, ge=0, le=1000)
    min_age: float | None = Field(None, gt=0, le=120)

    @model_validator(mode="after")
    def _teaches_alone(self) -> Self:
        if self.weight == 0 and not self.only_train:
            raise PydanticCustomError("judged", "has weight 0 and is judged: add only_train = true")
        return self


class DataSection(Section):
    """Where the labelled images lie. `root`: see `cxreader.data.sources.locate` for how a relative one is found.

    `sources`: several, read together as one. `phantoms`: a study draws its images itself, into its folder. One of the
    three is given.
    """

    root: str = ""
    sources: tuple[SourceSection, ...] = ()
    phantoms: PhantomSection | None = None
    kind: SourceKind = "auto"
    tables: str | None = None
    name: str | None = None
    uncertain: Uncertain | None = None  # what an uncertain label becomes; the set's own policy when left out
    min_age: float | None = Field(None, gt=0, le=120)  # images of patients known to be younger are left out; years
    cache: str | None = None  # where pixel caches are kept; the run folder when left out
    workers: int | None = Field(None, ge=1)  # processes that decode; all cores when left out

    @model_validator(mode="after")
    def _has_images(self) -> Self:
        given = [name for name in ("root", "sources", "phantoms") if getattr(self, name) not in ("", (), None)]
        if not given:
            raise PydanticCustomError("no_images", "names no images: give root, the folder or table of your images")
        if len(given) > 1:
            raise PydanticCustomError("two_sources", f"gives both {given[0]} and {given[1]}: leave one of them out")
        if self.sources and (self.kind, self.tables, self.uncertain, self.min_age) != ("auto", None, None, None):
            what = "gives kind, tables, uncertain or min_age beside sources: give them inside each source"
            raise PydanticCustomError("two_kinds", what)
        return self

    @property
    def where(self) -> str:
        """What was named, for messages."""
        return self.root or ", ".join(source.root for source in self.sources)


class InputSection(Section):
    """The InputSpec: side in pixels, fit, and the three channels' mean and deviation; None for the network's own."""

    size: int = Field(224, ge=32, le=4096)
    fit: Literal["pad", "squash"] = "pad"
    mean: Three | None = None
    std: Three | None = None


class SplitSection(Section):
    """How patients are shared out. `file`: an existing split to use. `size`: images in all, after balancing."""

    kind: Literal["patient", "official", "image-random"] = "patient"
    file: str | None = None
    shares: Three = (0.70, 0.15, 0.15)
    balance: Literal["equal", "natural", "ratio"] = "equal"
    abnormal_share: Share | None = None
    size: int | None = Field(None, ge=8)


class AugmentSection(Section):
    """Largest change of each kind, drawn evenly on both sides of none; `horizontal_flip` is off: see `data.augment`."""

    rotation: float = Field(7.0, ge=0, le=180)  # degrees
    shift: Share = 0.05  # of the side
    scale: Share = 0.05
    brightness: Share = 0.1  # of the full range
    contrast: Share = 0.1
    horizontal_flip: bool = False


class ModelSection(Section):
    """The network: a registered name, its weights, the dropout before its head.

    `weights`: imagenet, none, a file, or (in a study) phantoms: see `PretrainSection`.
    """

    name: str = "resnet18"
    weights: str = "imagenet"
    # When a weights file is not there: stop, train from scratch, or (in a study) take weights made from phantoms.
    if_absent: Literal["error", "none", "phantoms"] = "error"
    dropout: float = Field(0.2, ge=0, lt=1)


class PhaseSection(Section):
    """One phase: which stages learn, how fast, how long at most, and how long without improvement.

    `learn`: head, last_block, all, or a stage of the network by its name: that one and everything behind it.
    """

    learn: str = Field(min_length=1)
    lr: Positive
    epochs: int = Field(15, ge=1)
    patience: int = Field(3, ge=1)


class BoxesSection(Section):
    """The region head: it learns from boxes, behind the phases, where findings lie; the classifier stays as it is.

    `stages`: whose outputs it reads; the last of each of the two coarsest sizes of map when left out. `width`: its channels.
    """

    stages: tuple[str, ...] = ()
    width: int = Field(32, ge=8)
    epochs: int = Field(14, ge=1)
    lr: Positive = 2e-3
    weight_decay: float = Field(1e-2, ge=0)
    batch_size: int = Field(32, ge=2)
    normals: bool = True  # a normal image teaches that no finding lies anywhere


class TrainingSection(Section):
    """The study's two phases by default. Without pretrained weights the phases are `full` alone: every stage learns."""

    phases: tuple[Literal["head", "fine_tune", "full"], ...] = Field(("head", "fine_tune"), min_length=1)
    head: PhaseSection = PhaseSection(learn="head", lr=1e-3)
    fine_tune: PhaseSection = PhaseSection(learn="last_block", lr=1e-4)
    full: PhaseSection = PhaseSection(learn="all", lr=1e-3)
    batch_size: int = Field(32, ge=2)
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["constant", "cosine", "one-cycle"] = "constant"
    monitor: Literal["accuracy", "auc", "loss"] = "accuracy"
    class_weights: Literal["none", "balanced", "by_source"] = (
        "none"  # by_source: the source then tells nothing of the label
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    batch_norm: Literal["batch", "frozen"] = "batch"  # frozen: by the pretrained statistics; scale and shift learn
    prefix_cache: bool = True  # what the frozen stages give is computed once; false: fresh augmentation in every epoch
    # Versions of an image that are stored: as it is, the others augmented. Where an earlier version left it out it meant four.
    views: Annotated[int, BeforeValidator(lambda given: 4 if given is None else given)] = Field(1, ge=1)
    prefix_precision: Literal["float16", "float32"] = "float16"
    precision: Literal["auto", "32", "bf16-mixed", "16-mixed"] = (
        "auto"  # auto: bf16-mixed on a GPU that has it, else 32
    )
    compile: bool = False  # torch.compile; pays on a GPU, not on a CPU
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: int = Field(1, ge=1)  # processes that share each batch: a GPU each, or a part of the CPU's cores
    tensorboard: bool = False
    boxes: BoxesSection | None = None  # learn where findings lie, from the boxes of the data; off when left out

    @model_validator(mode="after")
    def _has_images_for_each_device(self) -> Self:
        if self.batch_size < 2 * self.devices:
            what = f"has {self.devices} devices for a batch of {self.batch_size}: set batch_size to {2 * self.devices} or more"
            raise PydanticCustomError("devices", what)
        return self


DEFAULT_POINTS = ("youden: youden", "screening: sensitivity 0.95", "rule-in: specificity 0.95")


class CalibrationSection(Section):
    """What is fitted on the calibrate part: the map to probabilities, the operating points, the error bound by class.

    `operating_points`: lines such as "screening: sensitivity 0.95" or "rule-out: npv 0.99 at prevalence 0.1"; the first
    one decides. `alpha`: in the conformal mode at most this share of each class is called the other; none switches it off.
    `false_refusals`: of each check that a reader makes of an image, the share of images like these that it refuses; none
    switches them off. `disagreement`: several models' probabilities further apart are referred.
    """

    method: Literal["temperature", "platt", "isotonic"] = "temperature"
    operating_points: tuple[str, ...] = Field(DEFAULT_POINTS, min_length=1)
    alpha: float | Literal["none"] = 0.1
    false_refusals: float | Literal["none"] = 0.01
    disagreement: Share = 0.25

    @model_validator(mode="after")
    def _is_a_share(self) -> Self:
        for what, share in (("the error bound", self.alpha), ("the rate of false refusals", self.false_refusals)):
            if share != "none" and not 0 < share < 1:
                raise PydanticCustomError("share", f"{what} lies not between 0 and 1")
        return self


class RangeSection(Section):
    """A range of numbers to search, both ends included; `log` draws evenly over the orders of magnitude."""

    low: float
    high: float
    log: bool = False


Choice = str | bool | int | float


class RowSection(Section):
    """A row of a study's table: a network and what differs from the study's own sections. See `study.rows`.

    `published`: whose published numbers stand beside it. `search`: the settings are the winner of `study.space`.
    `abnormal_share`: the learning parts are subsampled to this share of abnormal images; the test part stays.
    `patient_share`: the train part is cut to this share of its patients, of whom a smaller share lies within a larger one.
    """

    name: str
    published: str | None = None
    search: bool = False
    abnormal_share: float | None = Field(None, gt=0, lt=1)
    patient_share: float | None = Field(None, gt=0, lt=1)
    model: dict[str, Any] = {}
    training: dict[str, Any] = {}


class PretrainSection(Section):
    """How a study makes weights where none can be had: a network learns normal/abnormal on phantoms first, from scratch."""

    patients: int = Field(600, ge=40)
    epochs: int = Field(6, ge=1)
    lr: Positive = 1e-3
    seed: int = Field(1, ge=0)  # other phantoms than those of `data.phantoms`


class StudySection(Section):
    """Several trainings that answer one question: the rows of a table, or the space of a search.

    `space`: dotted keys of the configuration, each with a list of values or a range. Lists alone make a grid, every
    point of it once; a range needs `trials`, drawn by TPE. `weights`: of single networks, in the place of `model.weights`.
    """

    seeds: int = Field(3, ge=1)
    rows: tuple[RowSection, ...] = ()  # the study's own when left out
    weights: dict[str, str] = {}  # a network's name and its weights
    space: dict[str, tuple[Choice, ...] | RangeSection] = {}
    sampler: Literal["grid", "tpe"] | None = None  # grid for lists alone, when left out
    trials: int | None = Field(None, ge=1)
    pruning: Literal["none", "median"] = "none"
    pretrain: PretrainSection = PretrainSection()


class Config(Section):
    """One experiment."""

    seed: int = Field(42, ge=0)
    data: DataSection
    input: InputSection = InputSection()
    split: SplitSection = SplitSection()
    augment: AugmentSection | None = AugmentSection()
    model: ModelSection = ModelSection()
    training: TrainingSection = TrainingSection()
    calibration: CalibrationSection = CalibrationSection()
    study: StudySection = StudySection()

    @model_validator(mode="after")
    def _teaches_something(self) -> Self:
        if self.training.boxes is None and any(source.weight == 0 for source in self.data.sources):
            raise PydanticCustomError(
                "no_lesson", "has a source of weight 0, which teaches a region head: add [training.boxes]"
            )
        return self


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """The configuration in a TOML file, with `key.path=value` overrides laid over it.

    A JSON file is read as well, so that the `config.json` of a run repeats it.
    Raises ConfigError naming the file or the dotted paths, all that are wrong, and the nearest right keys.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        values = _table(json.loads(text)) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError("no such file", where=path, mend="give a TOML file; examples: cxreader configs") from None
    except (OSError, ValueError, FieldError) as error:  # both decoders raise ValueErrors
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise ConfigError(
            f"not a readable {kind} file ({in_words(error)})", where=path, mend="mend the line named"
        ) from None
    for override in overrides:
        _lay(values, override)
    return parse_config(values)


def parse_config(values: Mapping[str, Any]) -> Config:
    """Nested plain values as a Config. Raises ConfigError with the dotted path of everything that is wrong."""
    try:
        return Config.model_validate(_merge_defaults(values))
    except ValidationError as error:
        raise explained(error, Config) from None


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """The configuration with other values at dotted keys, such as {"training.fine_tune.lr": 1e-3}.

    A value may be a table, which replaces only what it names. Raises ConfigError as `load_config` does.
    """
    merged: dict[str, Any] = config.model_dump()
    for key, value in values.items():
        *parents, last = key.split(".")
        target = merged
        for parent in parents:
            target[parent] = dict(target.get(parent) or {})
            target = target[parent]
        target[last] = _laid_over(target.get(last), value)
    return parse_config(merged)


def _laid_over(old: Any, new: Any) -> Any:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    return {**old, **{key: _laid_over(old.get(key), value) for key, value in new.items()}}


def _merge_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Phases are given in part (`training.head.lr`): what is left out keeps that phase's own default."""
    merged = dict(values)
    training = merged.get("training")
    if isinstance(training, Mapping):
        merged["training"] = dict(training)
        for name in ("head", "fine_tune", "full"):
            given = training.get(name)
            if isinstance(given, Mapping):
                default: PhaseSection = TrainingSection.model_fields[name].default
                merged["training"][name] = default.model_dump() | dict(given)
        if isinstance(training.get("boxes"), bool):
            merged["training"]["boxes"] = {} if training["boxes"] else None
    if merged.get("augment") is False or merged.get("augment") == "none":
        merged["augment"] = None
    return merged


def _table(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise FieldError("it holds no table of sections")
    return values


def _lay(values: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"{override!r} is no key=value", where="--set", mend="write --set training.batch_size=16")
    *parents, last = key.strip().split(".")
    target = values
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{parent!r} holds a value, not a section", where=key, mend="leave out what follows it")
    target[last] = _value(text.strip())


def _value(text: str) -> Any:
    """A TOML value; a bare word is a string, so that `--set model.name=densenet121` needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
