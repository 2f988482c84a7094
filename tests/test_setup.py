"""The set-up: what importing costs and brings, and torch's surroundings, each in a fresh process."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


def _fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_after_torch_setup_timm_lightning_torchmetrics_and_grad_cam_import() -> None:
    code = (
        "from cxreader.torch_setup import supply_torchvision_operators as supply\n"
        "import timm, lightning, torchmetrics, pytorch_grad_cam, torchvision, torch\n"
        "print(supply(), hasattr(torch.ops.torchvision, 'nms'))"
    )
    state, has = _fresh(code).split()
    assert state in ("loaded", "declared")
    assert has == "True"


def test_without_it_a_cpu_torch_beside_torchvisions_wheel_fails_or_its_operators_are_real() -> None:
    """The reason the module exists. Where torchvision's own library loads, importing it works without us."""
    done = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True, check=False)
    ours = _fresh("from cxreader.torch_setup import supply_torchvision_operators as s; print(s())")
    assert (done.returncode == 0) == (ours == "loaded")


def test_threads_wait_passively_unless_the_user_chose() -> None:
    show = "import os; import cxreader.torch_setup; print(os.environ['OMP_WAIT_POLICY'])"
    assert _fresh(f"import os; os.environ.pop('OMP_WAIT_POLICY', None); {show}") == "PASSIVE"
    assert _fresh(f"import os; os.environ['OMP_WAIT_POLICY'] = 'ACTIVE'; {show}") == "ACTIVE"


def test_the_allocator_keeps_its_pages_only_when_asked() -> None:
    """Resident memory after 256 MiB were freed: given back by default, kept after keep_pages (glibc)."""
    code = """
import platform, torch
from cxreader.machine import keep_pages
def resident():
    return int(open('/proc/self/statm').read().split()[1]) * 4096 >> 20
def freed():
    block = torch.ones(64 << 20)
    top = resident()
    del block
    return top - resident()
before = freed()
kept = keep_pages()
after = freed()
print(before, after, kept, platform.libc_ver()[0])
"""
    before, after, kept, libc = _fresh(code).split()
    if libc != "glibc":
        pytest.skip("the allocator is not glibc's")
    assert kept == "True"
    assert int(before) > 200
    assert int(after) < 50


def test_importing_does_nothing() -> None:
    heavy = [
        "torch",
        "timm",
        "lightning",
        "torchvision",
        "pandas",
        "matplotlib",
        "sklearn",
        "scipy",
        "pydantic",
        "pyarrow",
        "numpy",
    ]
    code = f"import sys, cxreader, cxreader.cli; print([m for m in {heavy} if m in sys.modules])"
    assert _fresh(code) == "[]"


def test_reading_and_judging_modules_load_no_torch() -> None:
    modules = (
        "config records runs imaging.read evaluation.evaluate reporting.evaluation.page "
        "models.artifact models.registry inference.reader inference.batch.read_files cli.reading"
    )
    imports = "; ".join(f"import cxreader.{m}" for m in modules.split())
    heavy = ("torch", "pandas", "timm", "ray")
    assert _fresh(f"import sys; {imports}; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_the_public_face() -> None:
    import cxreader

    assert cxreader.__all__ == ["CxreaderError", "OperatingPoint", "Radiograph", "Reader", "Reading"]
    assert [getattr(cxreader, name).__name__ for name in cxreader.__all__] == cxreader.__all__
    assert set(cxreader.__all__) < set(dir(cxreader))
    assert cxreader.__version__ == tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    with pytest.raises(AttributeError):
        _ = cxreader.nothing


def test_core_dependencies_have_no_torch_and_constraints_only_names_and_versions() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    core = {re.split(r"[<>=\[ ]", line)[0] for line in project["dependencies"]}
    assert not core & {"torch", "torchvision", "timm", "lightning", "pandas"}
    assert {"torch>=2.6,<2.14", "torchvision>=0.21,<0.29"} <= set(project["optional-dependencies"]["train"])
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+", line) for line in lines)


def test_a_cpu_machine_has_no_cuda_package() -> None:
    import torch

    if torch.version.cuda is not None:
        return  # a GPU machine's build brings them, as it should
    names = {(d.metadata["Name"] or "").lower() for d in distributions()}
    assert not [name for name in names if name.startswith("nvidia-")]


@pytest.mark.peer
def test_the_floors_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], capture_output=True, text=True, check=False, cwd=PROJECT
    )
    assert done.returncode == 0, done.stdout
    assert "3 kept, 0 broken" in done.stdout
