"""The Artifact: a folder of `artifact.json` and `model.safetensors`, the only thing that passes from training to inference.

No torch, nothing unpickled. Every byte is covered: the JSON carries a digest of itself and the hashes of the weights and of
every export, the same network for another runtime.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from cxreader.atomic import write_whole
from cxreader.codec import Plain, in_words
from cxreader.errors import ArtifactError, CxreaderError, nearest
from cxreader.imaging.preprocess import InputSpec
from cxreader.models.reference_scores import ReferenceScores
from cxreader.models.region_record import RegionHeadRecord
from cxreader.models.registry import model_entry
from cxreader.models.training_images import TrainingImages
from cxreader.records import LABEL_NAMES, OperatingPoint
from cxreader.runs import write_json

SCHEMA = 6
_WITHOUT_REGIONS = 5
READABLE = (2, 3, 4, _WITHOUT_REGIONS, SCHEMA)
"""Schema 5 has no `region_head`, and is what is written where there is none; schema 4 has besides no `thresholds_on` and no
`images`; schema 3 besides no `reference_scores` and no `evaluation`; schema 2 besides no `acceptance`, `disagreement` and
`exports`."""
DISAGREEMENT = 0.25
"""Between the calibrated probabilities of several models: beyond it they are not averaged."""
MANIFEST, WEIGHTS = "artifact.json", "model.safetensors"
QUANTISED = "quantised"
"""In the provenance of an artifact in 8 bits: `from` which it was made, its `precision`, and the `gate` that it passed."""
_MEND = "copy the artifact again, or train it again"
_MEND_EXPORT = "copy the whole folder again, or run `cxreader export` on it"


@dataclass(frozen=True, slots=True)
class TrainingPatients(Plain):
    """Whom the model must not be judged on: salted hashes (16 hex digits) of the patients of each part that set it.

    `parts`: train, tune, calibrate -> hashes. `sources`: the names under which they were hashed ("" for an unnamed one).
    `known` is False when no patient was known and images stand in for patients.
    """

    salt: str
    parts: dict[str, tuple[str, ...]]
    sources: tuple[str, ...]
    known: bool = True


@dataclass(frozen=True, slots=True)
class Artifact(Plain):
    """A trained and calibrated network with all it needs to be used and judged.

    `calibration`, `venn_abers` and `conformal` are plain values: the records that `evaluation.calibrators`, `.venn_abers`
    and `.conformal` read; the last two may be None. `transfer` says where the weights began ("no transfer: weights
    absent" when nowhere). `provenance`: configuration, split digest, counts, versions, git revision, seed, machine,
    phases. `acceptance`: the record of the rule that says which images are of the kind the network knows, or None.
    `disagreement`: calibrated probabilities of several models further apart than this are referred, not averaged.
    `reference_scores`: the scores on `calibrate`, None of schemas 2 and 3. `exports`: by runtime, the file in the folder that
    holds the network for it (`file`, `sha256`, `bytes`, and what the runtime's exporter says). `evaluation`: how it did on the
    test part of its own run, the record that `assessment.summary` reads; None before it was judged.

    `thresholds_on`: the scale of `operating_points`, `conformal` and `reference_scores`: `answer`, the probabilities that are
    shown; of schemas 2 to 4 `calibration`, what the calibration alone says (see `evaluation.calibration.bounded`). `images`: the
    pictures that set the model, None of schemas 2 to 4. `region_head`: the head that was learnt from boxes, None without one.
    """

    model: str
    dropout: float
    spec: InputSpec
    calibration: dict[str, Any]
    operating_points: tuple[OperatingPoint, ...]
    transfer: str
    patients: TrainingPatients
    weights_sha256: str
    venn_abers: dict[str, Any] | None = None
    conformal: dict[str, Any] | None = None
    labels: tuple[str, ...] = LABEL_NAMES
    provenance: dict[str, Any] = field(default_factory=dict)
    acceptance: dict[str, Any] | None = None
    disagreement: float = DISAGREEMENT
    exports: dict[str, Any] = field(default_factory=dict)
    reference_scores: ReferenceScores | None = None
    evaluation: dict[str, Any] | None = None
    thresholds_on: Literal["calibration", "answer"] = "calibration"
    images: TrainingImages | None = None
    region_head: RegionHeadRecord | None = None

    @property
    def id(self) -> str:
        """12 hex digits that name exactly this reader, the head of a digest without what comes later: exports, evaluation.

        What an earlier schema did not know is left out where it says nothing, so that its artifacts keep their names.
        """
        content = self._content()
        del content["exports"], content["evaluation"]
        if (self.thresholds_on, self.images) == ("calibration", None):
            del content["thresholds_on"], content["images"]
            content["schema"] = 4
        if self.reference_scores is None:
            del content["reference_scores"]
            content["schema"] = 3
            if (self.acceptance, self.disagreement) == (None, DISAGREEMENT):
                del content["acceptance"], content["disagreement"]
                content["schema"] = 2
        return _digest(content)[:12]

    def reads_as(self, other: Artifact) -> bool:
        """True when both answer alike: they differ at most in where they come from, their exports and evaluation."""
        mine, theirs = self._content(), other._content()
        for content in (mine, theirs):
            del content["provenance"], content["exports"], content["evaluation"]
        return _digest(mine) == _digest(theirs)

    @property
    def quantised(self) -> Mapping[str, Any] | None:
        """Where it was made from another, in 8 bits, what its provenance tells of that; its weights are then its ONNX file."""
        found: Mapping[str, Any] | None = self.provenance.get(QUANTISED)
        return found

    def operating_point(self, name: str | None = None) -> OperatingPoint:
        """The named point, or the first. Raises ArtifactError with the nearest known name."""
        points = {point.name: point for point in self.operating_points}
        if name is None:
            return self.operating_points[0]
        if name not in points:
            raise ArtifactError(f"no operating point is named {name!r}", mend=nearest(name, points))
        return points[name]

    def _content(self) -> dict[str, Any]:
        content = {"schema": SCHEMA, **self.to_dict()}
        if self.region_head is None:
            del content["region_head"]
            content["schema"] = _WITHOUT_REGIONS
        return content


def save_artifact(artifact: Artifact, weights: bytes, folder: Path, *, region_weights: bytes | None = None) -> Path:
    """Write the files; the manifest comes last, so that a folder with a manifest is whole. Returns the folder.

    `weights` are safetensors bytes whose sha256 is `artifact.weights_sha256`; `region_weights` those of its region head, where it
    has one. Raises StorageError.
    """
    write_whole(folder / WEIGHTS, weights)
    if artifact.region_head is not None and region_weights is not None:
        write_whole(folder / artifact.region_head.file, region_weights)
    save_manifest(artifact, folder)
    return folder


def save_manifest(artifact: Artifact, folder: Path) -> None:
    """Write `artifact.json` alone, whole or not at all, beside the files that it names. Raises StorageError."""
    content = artifact._content()
    write_json(folder / MANIFEST, {"id": artifact.id, "digest": _digest(content), **content})


def load_artifact(
    folder: str | Path, *, weights: bool = True, exports: bool = True, manifest: str = MANIFEST
) -> Artifact:
    """The artifact in a folder, every byte checked. Raises ArtifactError for damage, another schema or an unknown network.

    Without `weights` or `exports` those files are not looked at, nor need they be there: for who is about to replace them, or
    calls `check_files` when it knows which runtime reads. `manifest`: the name under which `artifact.json` waits there, for
    who has not put it in place yet.
    """
    folder = Path(folder)
    content = _manifest(folder / manifest)
    digest, schema = content.pop("digest", None), content.pop("schema", None)
    content.pop("id", None)
    if schema not in READABLE:
        known = ", ".join(str(number) for number in READABLE)
        raise ArtifactError(
            f"schema {schema!r}, this version reads {known}", where=folder, mend="use the cxreader that wrote it"
        )
    if not _fits({"schema": schema, **content}, digest):
        raise ArtifactError("damaged: the digest does not fit the content", where=folder / manifest, mend=_MEND)
    artifact = _parsed(content, folder / manifest)
    if weights:
        _check_all_weights(artifact, folder)
    for name, export in artifact.exports.items() if exports else ():
        _check_export(folder, name, export)
    if artifact.labels != LABEL_NAMES:
        raise ArtifactError(f"labels {artifact.labels}, this version reads {LABEL_NAMES}", where=folder, mend=_MEND)
    return artifact


def check_files(artifact: Artifact, folder: Path, runtime: str) -> None:
    """Check the one file that a runtime reads: its export, or the weights where it has none.

    Raises ArtifactError, also for a quantised artifact and another runtime than that which it was fitted on.
    """
    if artifact.quantised is not None and runtime != "onnx":
        what = "a quantised artifact holds the network in 8 bits alone, as ONNX Runtime computes it"
        raise ArtifactError(what, where=folder, mend="read with --backend onnx, or take the artifact it was made from")
    if runtime in artifact.exports:
        _check_export(folder, runtime, artifact.exports[runtime])
    else:
        _check_all_weights(artifact, folder)


def sha256(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def _manifest(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(
            "no artifact here", where=path.parent, mend="give a folder that holds artifact.json"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"damaged: {in_words(error)}", where=path, mend=_MEND) from None
    if not isinstance(content, dict):
        raise ArtifactError("damaged: not an object", where=path, mend=_MEND)
    return content


def _parsed(content: dict[str, Any], where: Path) -> Artifact:
    try:
        artifact = Artifact.from_dict(content)
        model_entry(artifact.model)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"a field is missing or wrong ({in_words(error)})", where=where, mend=_MEND) from None
    except CxreaderError as error:
        raise ArtifactError(str(error), where=where, mend="use the cxreader that wrote it") from None
    return artifact


def _check_all_weights(artifact: Artifact, folder: Path) -> None:
    if artifact.quantised is not None:
        return  # they are its export
    _check_weights(folder / WEIGHTS, artifact.weights_sha256)
    head = artifact.region_head
    if head is not None:
        if Path(head.file).name != head.file:
            what = "the region head's weights are not in the artifact's folder"
            raise ArtifactError(what, where=folder / MANIFEST, mend=_MEND)
        _check_weights(folder / head.file, head.weights_sha256)


def _check_weights(path: Path, expected: str) -> None:
    try:
        if hash_of(path) != expected:
            raise ArtifactError("damaged: the weights are not those of artifact.json", where=path, mend=_MEND)
        with safe_open(path, framework="numpy"):
            pass
    except FileNotFoundError:
        raise ArtifactError("the weights are missing", where=path, mend=_MEND) from None
    except SafetensorError:
        raise ArtifactError("damaged weights", where=path, mend=_MEND) from None
    except OSError as error:
        raise ArtifactError(f"the weights cannot be read ({in_words(error)})", where=path, mend=_MEND) from None


def _check_export(folder: Path, name: str, export: Mapping[str, Any]) -> None:
    try:
        path, expected = folder / export["file"], export["sha256"]
        if path.parent != folder:
            raise ArtifactError(
                f"the {name} export is not in the artifact's folder", where=folder / MANIFEST, mend=_MEND
            )
        if hash_of(path) != expected:
            raise ArtifactError(f"damaged: not the {name} export of artifact.json", where=path, mend=_MEND_EXPORT)
    except (KeyError, TypeError) as error:
        what = f"the {name} export: a field is missing or wrong ({in_words(error)})"
        raise ArtifactError(what, where=folder / MANIFEST, mend=_MEND) from None
    except FileNotFoundError:
        raise ArtifactError(f"the {name} export is missing", where=path, mend=_MEND_EXPORT) from None
    except OSError as error:
        raise ArtifactError(f"damaged {name} export ({in_words(error)})", where=path, mend=_MEND_EXPORT) from None


def hash_of(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: dict[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode())


def _fits(content: dict[str, Any], digest: object) -> bool:
    """Whether this is the content's digest; of what is no strict JSON (NaN, an infinity) none is."""
    try:
        return _digest(content) == digest
    except (ValueError, RecursionError):
        return False
