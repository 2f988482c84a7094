"""Options that name the images to be judged, the same wherever an artifact is judged on a labelled source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from cxreader.errors import UsageError, nearest

OneModel = Annotated[list[str] | None, typer.Option("--model", "-m", help="An artifact's folder, or a run's.")]
Data = Annotated[
    str | None,
    typer.Option(
        help="A labelled source: a public set's folder, a table, a normal/abnormal tree, a DICOM tree, an index."
    ),
]
SplitFile = Annotated[str | None, typer.Option(help="A split file; without it every image is judged.")]
Part = Annotated[str, typer.Option(help="train, tune, calibrate or test, of the split.")]
Kind = Annotated[
    str, typer.Option(help="What the source is: auto, table, folder, dicom, or a name of `cxreader data layouts`.")
]
Tables = Annotated[
    str | None,
    typer.Option(help="Folder of the set's tables, or of labels.csv of DICOM files, when they lie elsewhere."),
]
UncertainLabels = Annotated[
    Literal["abnormal", "normal", "drop"] | None,
    typer.Option("--uncertain", help="What uncertain labels become; the set's own policy when not given."),
]
TermsFile = Annotated[
    Path | None,
    typer.Option("--terms", help="TOML of your site's own words in DICOM headers: [view], [body_part], [modality]."),
]
Name = Annotated[str | None, typer.Option(help="The data set's name.")]


def one_model(models: list[str] | None) -> str | None:
    """The one model that was named, if any. Raises UsageError for several: here they are not taken together."""
    if models is not None and len(models) > 1:
        mend = (
            "give one; to compare several, judge their predictions: cxreader evaluate --predictions A --predictions B"
        )
        raise UsageError(f"{len(models)} models where one is wanted", where="--model", mend=mend)
    return models[0] if models else None


def named_columns(column: list[str] | None, more: Sequence[str] = ()) -> dict[str, str]:
    """The names of `--column`, those of predictions or `more`.

    Raises UsageError for what is not NAME=COLUMN, or a name that nothing is asked for by.
    """
    from cxreader.evaluation.predictions import USED

    known = (*USED, *more)
    named = {}
    for text in column or ():
        name, equals, written = (part.strip() for part in text.partition("="))
        if not (name and equals and written):
            raise UsageError(f"{text!r} names no column", where="--column", mend="write it as probability=score")
        if name not in known:
            raise UsageError(f"nothing is asked for by {name!r}", where="--column", mend=nearest(name, known))
        named[name] = written
    return named
