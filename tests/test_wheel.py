"""The wheel: what it holds; and installed alone, in bare environments, what it reads and judges, and how small that is."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch

from cxreader import Reader
from cxreader.inference.runtimes.export import export_onnx
from cxreader.models.registry import create_model
from tests.artifacts import hand_made

PROJECT = Path(__file__).resolve().parents[1]
SIZE = 64
SIZES = """
import json, re, sys
from importlib.metadata import distribution
from packaging.requirements import Requirement

def closure(name, extras, seen):
    key = re.sub("[-_.]+", "-", name).lower()
    known = seen.setdefault(key, set())
    if "" in known and set(extras) <= known:
        return
    known |= {"", *extras}
    for line in distribution(name).requires or ():
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            closure(need.name, need.extras, seen)

seen = {}
closure("cxreader", sys.argv[1:], seen)
seen.pop("cxreader")
paths = [d.locate_file(f) for d in map(distribution, seen) for f in d.files or () if not str(f).endswith(".pyc")]
print(json.dumps([sum(p.stat().st_size for p in paths if p.is_file()), len(seen), sorted(seen)]))
"""
"""Bytes of all packages that cxreader with these extras needs, compiled Python left out, and how many packages."""

WORKLIST = """
import json, sys, time
from pathlib import Path
from cxreader.serving.service import TriageService
from cxreader.serving.settings import Settings
service = TriageService.open(Settings.load(Path(sys.argv[1])))
until = time.monotonic() + 120
while time.monotonic() < until:
    found = [e.result.reading for e in service.worklist().entries if e.result is not None]
    if len(found) == int(sys.argv[2]):
        break
    time.sleep(0.1)
print(json.dumps([[reading["decision"], reading["probability"]] for reading in found]))
"""
"""The answers in the worklist of a home, once it has so many."""

pytestmark = [pytest.mark.slow, pytest.mark.network]


def _pythons() -> list[Path]:
    """The interpreters of this machine that the package is for: that of the tests, and other versions where they are."""
    found = {sys.version_info[:2]: Path(sys.executable)}
    for minor in (11, 12, 13):
        kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python"))
        named = shutil.which(f"python3.{minor}")
        for place in (*kept, *([] if named is None else [Path(named)])):
            if (
                subprocess.run([place, "-c", "import venv, ensurepip"], capture_output=True, check=False).returncode
                == 0
            ):
                found.setdefault((3, minor), place)
    return [found[version] for version in sorted(found)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("src", "pyproject.toml", "README.md", "LICENSE"):
        source = PROJECT / name
        ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
        shutil.copytree(source, folder / name, ignore=ignored) if source.is_dir() else shutil.copy(source, folder)
    subprocess.run([sys.executable, "-m", "build", "--wheel", str(folder)], check=True, capture_output=True)
    (made,) = (folder / "dist").iterdir()
    return made


@pytest.fixture(scope="module", params=_pythons(), ids=lambda place: "-".join(place.parts[-3:]))
def core(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of a bare environment with the wheel and what it needs, nothing else."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([request.param, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "--constraint", str(PROJECT / "constraints.txt"), str(wheel)], check=True)
    yield python
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def served(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of an environment with the wheel and what its service needs."""
    folder = tmp_path_factory.mktemp("served")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "--constraint", str(PROJECT / "constraints.txt"), f"{wheel}[serve]"], check=True)
    yield python
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported artifact."""
    torch.manual_seed(3)
    made = tmp_path_factory.mktemp("exported") / "artifact"
    model = create_model("resnet18", size=SIZE)
    with torch.no_grad():
        model.train()(torch.randn(16, 3, SIZE, SIZE))
    hand_made(made, "resnet18", model.state_dict(), SIZE)
    export_onnx(made)
    return made


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same picture as PNG and as DICOM (MONOCHROME1, 12 bits), and another one."""
    place = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        coarse = Image.fromarray(random.integers(0, 4096, (12, 10)).astype(np.float32)).resize((200, 240))
        pixels = np.asarray(coarse).clip(0, 4095).astype(np.uint16)
        Image.fromarray((pixels >> 4).astype(np.uint8)).save(place / f"{name}.png")
        _write_dicom(place / f"{name}.dcm", pixels)
    return sorted(place.iterdir())


def _write_dicom(path: Path, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = DigitalXRayImageStorageForPresentation
    made.SOPInstanceUID = generate_uid()
    made.Modality, made.BodyPartExamined, made.ViewPosition = "DX", "CHEST", "PA"
    made.PresentationIntentType = "FOR PRESENTATION"
    made.PhotometricInterpretation, made.SamplesPerPixel, made.PixelRepresentation = "MONOCHROME1", 1, 0
    made.Rows, made.Columns = pixels.shape
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelData = (4095 - pixels).tobytes()
    made.save_as(path, enforce_file_format=True)


def test_the_core_reads_png_and_dicom_with_heat_maps_as_torch_does(
    core: Path, folder: Path, images: list[Path], tmp_path: Path
) -> None:
    absent = "import importlib.util as u; print([m for m in ('torch', 'timm', 'onnx', 'pandas') if u.find_spec(m)])"
    assert _said(core, "-c", absent) == "[]\n"
    program = core.with_name("cxreader")
    given = ["--model", str(folder), *map(str, images)]
    rows = list(csv.DictReader(io.StringIO(_said(program, "-q", "read", *given, "--out", "-"))))
    _said(program, "-q", "explain", *given, "--raw", "--out", str(tmp_path))
    maps = [np.load(path) for path in sorted(tmp_path.glob("*.npy"))]
    readings = list(Reader.load(folder, backend="torch").read_many(images, heat_map=True))
    assert len(rows) == len(readings) == len(images) == 4
    for row, reading in zip(rows, readings, strict=True):
        assert row["image"] == reading.image
        assert row["decision"] == reading.decision
        assert float(row["probability"]) == pytest.approx(reading.probability, abs=1e-5)
    assert len({row["probability"] for row in rows}) > 1
    expected = {reading.image: reading.heat_map for reading in readings}
    assert len(maps) == len(list(tmp_path.glob("*-heat.png"))) == len(images)
    for theirs in expected.values():
        assert theirs is not None
        assert theirs.max() > 0
        assert min(np.abs(ours - theirs).max() for ours in maps) <= 1e-3 * theirs.max()


def test_the_service_reads_without_torch(served: Path, folder: Path, images: list[Path], tmp_path: Path) -> None:
    """From a watched folder to the worklist, by `cxreader serve`, as a person installs it; the answers are the reader's own."""
    absent = "import importlib.util as u; print([m for m in ('torch', 'timm', 'onnx', 'pandas', 'psycopg') if u.find_spec(m)])"
    assert _said(served, "-c", absent) == "[]\n"
    program, home, watched = served.with_name("cxreader"), tmp_path / "home", tmp_path / "in"
    watched.mkdir()
    assert "password" in _said(program, "serve", "init", "--home", str(home))
    (home / "serve.toml").write_text(f'[folder]\npath = "{watched}"\nsettle = 0.1\nevery = 0.2\n[dicom]\nport = 0\n')
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen([program, "serve", "--model", folder, "--home", home], env=environment) as service:
        try:
            for image in images:
                shutil.copy(image, watched)
            shown = json.loads(_said(served, "-c", WORKLIST, str(home), str(len(images))))
        finally:
            service.terminate()
    assert service.returncode == 0
    expected = sorted(
        (r.decision or "", r.probability or 0.0) for r in Reader.load(folder, backend="torch").read_many(images)
    )
    assert sorted(decision for decision, _ in shown) == [decision for decision, _ in expected]
    assert sorted(p for _, p in shown) == pytest.approx(sorted(p or 0.0 for _, p in expected), abs=1e-5)


def test_the_wheel_holds_the_package_its_templates_and_its_configurations_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        about = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    tracked = subprocess.run(["git", "ls-files", "src"], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert held == {name.removeprefix("src/") for name in tracked.stdout.split()}
    assert {Path(name).suffix for name in held} == {
        *(".py", ".typed", ".toml", ".jinja", ".css", ".json"),
        *(".js", ".svg", ".md", ".txt"),
    }
    for minor in (11, 12, 13):
        assert f"Classifier: Programming Language :: Python :: 3.{minor}\n" in about
    assert 'Requires-Dist: torch<2.14,>=2.6; extra == "train"\n' in about


def test_the_core_judges_a_table_and_writes_the_example_configurations(core: Path, tmp_path: Path) -> None:
    program = core.with_name("cxreader")
    rows = [f"i{n},p{n // 2},{n % 2},{0.3 + 0.4 * (n % 2) + 0.01 * (n % 7)}" for n in range(80)]
    (tmp_path / "scores.csv").write_text("\n".join(["image,patient,label,probability", *rows]) + "\n")
    given = [
        "evaluate",
        "--predictions",
        str(tmp_path / "scores.csv"),
        "--threshold",
        "0.5",
        "--out",
        str(tmp_path / "report"),
    ]
    _said(program, "-q", *given)
    found = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert found["metrics"]["auc"]["value"] == 1.0
    assert found["confusion"] == {"tp": 40, "fp": 0, "tn": 40, "fn": 0}
    page = (tmp_path / "report" / "report.html").read_text()
    assert "80" in page
    assert "<svg" in page or "data:image/svg" in page
    _said(program, "-q", "configs", str(tmp_path / "configs"))
    written = {path.name: path.read_bytes() for path in (tmp_path / "configs").iterdir()}
    assert written == {path.name: path.read_bytes() for path in (PROJECT / "src/cxreader/configs").glob("*.toml")}


def test_the_core_is_a_fraction_of_the_whole(core: Path) -> None:
    small, few, names = json.loads(_said(core, "-c", SIZES))
    large, many, others = json.loads(_said(Path(sys.executable), "-c", SIZES, "all"))
    print(f"core: {small / 2**20:,.0f} MiB in {few} packages; cxreader[all]: {large / 2**20:,.0f} MiB in {many}")
    assert set(names) < set(others)
    assert small < large / 2


def _said(program: Path, *arguments: str) -> str:
    """What a program says; the environment's own packages are found, not those of whoever runs the tests."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout
