"""Options that name the images to be judged, the same wherever an artifact is judged on a labelled source."""

from __future__ import annotations

from typing import Annotated

import typer

Data = Annotated[str | None, typer.Option(help="A labelled source: NIH folder, table, normal/abnormal tree, index.")]
SplitFile = Annotated[str | None, typer.Option(help="A split file; without it every image is judged.")]
Part = Annotated[str, typer.Option(help="train, tune, calibrate or test, of the split.")]
Kind = Annotated[str, typer.Option(help="What the source is: auto, nih, table or folder.")]
Tables = Annotated[str | None, typer.Option(help="Folder of the NIH tables, when they lie elsewhere.")]
Name = Annotated[str | None, typer.Option(help="The data set's name.")]
