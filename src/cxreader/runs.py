"""The run folder: named paths, the resolved configuration, and where it came from (git revision, versions, seed, machine)."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from cxreader.atomic import is_empty, write_whole
from cxreader.config import Config, parse_config
from cxreader.errors import ArtifactError, UsageError
from cxreader.locks import try_lock

_PACKAGES = ("cxreader", "torch", "timm", "lightning", "numpy", "pillow", "scikit-learn", "scipy")
_PLACES = ("root", "tables", "cache", "workers")
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Every path of one training run, below `path`."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration (JSON)."""
        return self.path / "config.json"

    @property
    def provenance(self) -> Path:
        """Git revision, versions, seed, machine, dates of start and resumption."""
        return self.path / "run.json"

    @property
    def split(self) -> Path:
        """The split of this run."""
        return self.path / "split.json"

    @property
    def images(self) -> Path:
        """What was learnt from, by part: how many images, and a digest of their contents and labels (JSON)."""
        return self.path / "images.json"

    @property
    def unread(self) -> Path:
        """Images that could not be read and are left out of this run, with their reasons (JSON); absent when all were read."""
        return self.path / "unread.json"

    @property
    def cache(self) -> Path:
        """Pixel caches, unless the configuration keeps them elsewhere."""
        return self.path / "cache"

    @property
    def artifact(self) -> Path:
        """The only thing that passes from training to inference."""
        return self.path / "artifact"

    @property
    def evaluation(self) -> Path:
        """Where `cxreader evaluate RUN` writes when no other place is given."""
        return self.path / "evaluation"

    @property
    def history(self) -> Path:
        """Losses and tune metrics of every epoch of every phase (JSON)."""
        return self.path / "history.json"

    def phase(self, name: str) -> Path:
        """Checkpoints and logs of one phase."""
        return self.path / "phases" / name

    def load_config(self) -> Config:
        """The resolved configuration of the run. Raises UsageError when this is no run folder."""
        try:
            return parse_config(json.loads(self.config.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise UsageError("not a run folder", where=self.path, mend="give the --out of `cxreader train`") from None

    @classmethod
    def create(
        cls,
        path: str | Path,
        config: Config,
        *,
        resume: bool,
        what: str = "run",
        begun: Iterable[str] = ("phases",),
        changes: Callable[[Config, Config], list[str]] | None = None,
    ) -> Self:
        """Make the folder, or take up an unfinished one with `resume`; it holds a `what` where one of `begun` is in it.

        `changes` of the configuration begun with and of `config`: dotted keys that must not differ, and do (`changed_keys`
        when left out). Raises UsageError when the folder holds one and `resume` is off, or one of another configuration.
        """
        run = cls(Path(path))
        if run.config.exists() and not any((run.path / name).exists() for name in begun):
            for bound in (run.split, run.images, run.unread):  # a start that failed binds nobody: it has learnt nothing
                bound.unlink(missing_ok=True)
        elif run.config.exists():
            if not resume:
                raise UsageError(
                    f"the folder holds a {what} already", where=run.path, mend="add --resume, or give another --out"
                )
            refuse_changes(what, run.config, (changes or changed_keys)(run.load_config(), config))
        elif not is_empty(run.path):
            raise UsageError("the folder is not empty", where=run.path, mend="give another --out")
        run.begin(config)
        return run

    def begin(self, config: Config) -> None:
        """Write the configuration, and note one more start beside revision, versions, seed and machine."""
        started = [*_starts(self.provenance), datetime.now(UTC).isoformat(timespec="seconds")]
        write_json(self.config, config.model_dump(mode="json"))
        write_json(self.provenance, {**provenance(config.seed), "started": started})


def changed_keys(before: Config, now: Config) -> list[str]:
    """Dotted keys whose values differ between two configurations, in order; but where the images lie may change.

    Of the data section root, tables, cache and workers are free, and root and tables of each of several sources: whoever
    resumes compares the images themselves. `training.devices` is free: it changes nothing of what is learnt.
    """
    then, today = (_flat("", _what_is_learnt(config.model_dump(mode="json"))) for config in (before, now))
    return [key for key in {**then, **today} if then.get(key, _ABSENT) != today.get(key, _ABSENT)]


def refuse_changes(what: str, where: Path, changed: Sequence[str]) -> None:
    """Raise UsageError naming the first `changed` keys of a configuration; nothing when there are none."""
    if changed:
        listed = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        mend = "resume with the same file and --set, or give another --out"
        raise UsageError(f"the {what} was started with another configuration ({listed})", where=where, mend=mend)


def _what_is_learnt(resolved: dict[str, Any]) -> dict[str, Any]:
    data = {key: value for key, value in resolved["data"].items() if key not in _PLACES}
    data["sources"] = [
        {key: value for key, value in source.items() if key not in _PLACES} for source in data["sources"]
    ]
    split = {key: value for key, value in resolved["split"].items() if key != "file"}  # its content is compared
    training = {key: value for key, value in resolved["training"].items() if key != "devices"}
    return {**resolved, "data": data, "split": split, "training": training}


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    """Leaves by dotted key; a list is a leaf."""
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    inside = ((f"{prefix}.{key}" if prefix else key, item) for key, item in value.items())
    return {key: leaf for name, item in inside for key, leaf in _flat(name, item).items()}


@contextmanager
def only_process(folder: str | Path, what: str) -> Iterator[None]:
    """Make the folder, and let one process at a time do `what` in it; the lock ends with the process.

    Where that ends with an error before anything was made, what a start writes is removed again, and the folder with it
    where it was not there. Raises UsageError when another process does the same there, StorageError where nothing can be
    written.
    """
    place = Path(folder)
    lock, new = place / f"{what}.process.lock", [path for path in (place, *place.parents) if not path.exists()]
    begun = {path.name for path in place.iterdir()} if place.is_dir() else set[str]()
    held = try_lock(lock, make_folder=True)
    if held is None:
        mend = "wait for it, or give another --out"
        raise UsageError(f"another {what} works here", where=place, mend=mend)
    with held:
        try:
            yield
        except BaseException:
            _remove_start(place, begun, new)
            raise


def _remove_start(place: Path, begun: set[str], new: Sequence[Path]) -> None:
    """Remove what a start wrote, unless something was made besides; `begun`: the names that stood there before it.

    `new`: the folders that were not there, the innermost first.
    """
    run = RunFolder(place)
    notes = {run.config, run.provenance, run.split, run.images, run.unread}
    tops = [path for path in place.iterdir() if path.name not in begun]
    written = [path for top in tops for path in (top, *top.rglob("*"))]
    files = [path for path in written if not path.is_dir()]
    if any(path.suffix != ".lock" and path not in notes for path in files):
        return
    with suppress(OSError):  # nobody's work: where it cannot be removed, it stays
        for path in files:
            path.unlink()
        for folder in (*sorted((path for path in written if path.is_dir()), reverse=True), *new):
            folder.rmdir()


def artifact_folder(path: str | Path) -> Path:
    """The artifact at `path`, which may be the artifact's folder or the run's. Raises ArtifactError for anything else."""
    path = Path(path)
    for candidate in (path, RunFolder(path).artifact):
        if (candidate / "artifact.json").is_file():
            return candidate
    if RunFolder(path).config.exists():
        raise ArtifactError("the run has not finished", where=path, mend="finish it: cxreader train ... --resume")
    raise ArtifactError(
        "no artifact here", where=path, mend="give a folder that holds artifact.json, or a run's folder"
    )


def provenance(seed: int) -> dict[str, Any]:
    """What a result must carry to be repeated: revision, versions, seed, machine. No user, host or path."""
    return {
        "git_revision": git_revision(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "seed": seed,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def git_revision() -> str | None:
    """The revision of the source this package runs from, with `+` when it has changes; None outside a checkout."""
    here = Path(__file__).parent
    try:
        revision = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return revision.stdout.strip() or None


def write_json(path: Path, data: Any) -> None:
    """Write strict JSON whole or not at all. Raises StorageError when the disk is full or not writable."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, making its folder. Raises StorageError."""
    write_whole(path, text.encode())


def _starts(path: Path) -> list[str]:
    return list(json.loads(path.read_text(encoding="utf-8"))["started"]) if path.exists() else []


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
