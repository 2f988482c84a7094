from __future__ import annotations

import pickle

import pytest

from cxreader import errors
from cxreader.errors import CxreaderError, DataError, ImageError, StorageError, nearest


def test_a_message_is_one_line_with_where_what_and_the_mend() -> None:
    error = ImageError("is\nempty", where="a.png", mend="copy it again")
    assert str(error) == "a.png: is empty; copy it again"


def test_errors_cross_processes_whole() -> None:
    error = pickle.loads(pickle.dumps(StorageError("full", where="x", mend="free space")))  # noqa: S301
    assert (type(error), str(error), error.exit_code) == (StorageError, "x: full; free space", 6)


def test_every_error_is_in_the_tree_and_in_its_docstring() -> None:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert all(issubclass(kind, CxreaderError) for kind in kinds)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)
    assert issubclass(ImageError, DataError)


@pytest.mark.parametrize(("word", "text"), [("resnet", "did you mean 'resnet18'?"), ("qqq", "known: resnet18, vit")])
def test_nearest(word: str, text: str) -> None:
    assert nearest(word, ["vit", "resnet18"]) == text
