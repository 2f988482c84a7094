from __future__ import annotations

import subprocess
import sys

import pytest

from cxreader.errors import ModelError
from cxreader.models.registry import ModelEntry, create_model, model_entry, register_model


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean 'densenet121'"):
        model_entry("densnet121")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ModelError, match="registered already"):
        register_model(ModelEntry("resnet18", build="nowhere:nothing", reference=""))


def test_listing_needs_no_torch() -> None:
    code = (
        "import sys; from cxreader.models.registry import list_models; list_models(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_creating_the_same_seed_gives_the_same_network() -> None:
    import torch

    torch.manual_seed(3)
    first = create_model("resnet18").state_dict()
    torch.manual_seed(3)
    second = create_model("resnet18").state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
