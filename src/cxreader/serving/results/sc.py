"""A secondary capture: the picture under its heat map, with a caption below it; no patient identifier is burned in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cxreader.imaging.overlay import overlay
from cxreader.imaging.preprocess import InputSpec
from cxreader.imaging.radiograph import Radiograph
from cxreader.serving.results.subject import Subject, dated
from cxreader.serving.results.uids import SC, SERIES
from cxreader.serving.results.words import CAPTION, RESEARCH, answer
from cxreader.serving.store.reading.results import HEAT, map_values
from cxreader.serving.store.tables.readings import HeatMap

if TYPE_CHECKING:
    from pydicom import Dataset

SIDE = 1024
"""Pixels of the picture's longer side, at most; an overlay needs no more."""
_LINE, _EDGE = 22, 8
_LEAST = 480
"""Pixels that a caption needs in width."""


def capture(subject: Subject, picture: Radiograph) -> Dataset:
    """The secondary capture of a result that has a heat map, all models' side by side."""
    from highdicom.sc import SCImage

    made = SCImage.from_ref_dataset(
        subject.source(),
        pixel_array=drawn(subject, picture),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # which is asked for; the image's own follows
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **subject.common(SC),
    )
    made.PatientOrientation = _orientation(subject.instance.patient_orientation)
    made.ConversionType, made.ImageType = "SYN", ["DERIVED", "SECONDARY"]
    made.BurnedInAnnotation, made.BodyPartExamined = "YES", "CHEST"
    made.SeriesDescription = SERIES[SC].description
    made.DerivationDescription = CAPTION
    made.SourceImageSequence = [_source(subject)]
    return dated(made, subject)


def drawn(subject: Subject, picture: Radiograph) -> NDArray[np.uint8]:
    """The picture, uint8 (H, W, 3)."""
    shown = _fitted(picture.pixels)
    heats = [one for one in subject.maps if one.kind == HEAT]
    row = np.concatenate([_warm(shown, one) for one in heats], axis=1)
    lines = [line for text in (answer(subject.reading), CAPTION, RESEARCH) for line in _wrapped(text, row.shape[1])]
    width = max(row.shape[1], _LEAST)
    sheet = Image.new("RGB", (width, row.shape[0] + _LINE * len(lines) + 2 * _EDGE))
    sheet.paste(Image.fromarray(row), ((width - row.shape[1]) // 2, 0))
    draw = ImageDraw.Draw(sheet)
    for n, line in enumerate(lines):
        draw.text((_EDGE, row.shape[0] + _EDGE + n * _LINE), line, (240, 240, 240), _font())
    return np.asarray(sheet)


def _warm(shown: NDArray[np.float32], heat: HeatMap) -> NDArray[np.uint8]:
    return overlay(shown, map_values(heat), spec=InputSpec(SIDE, fit="squash" if heat.fit == "squash" else "pad"))


def _fitted(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The picture, reduced where it is larger."""
    image = Image.fromarray(pixels)
    scale = min(1.0, SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(np.clip(np.asarray(image.resize(size, Image.Resampling.BOX)), 0, 1), np.float32)


def _wrapped(text: str, width: int) -> Sequence[str]:
    """Lines of whole words that fit."""
    room, lines = max(width, _LEAST) - 2 * _EDGE, [""]
    for word in text.split():
        tried = f"{lines[-1]} {word}".strip()
        if _font().getlength(tried) <= room:
            lines[-1] = tried
        else:
            lines.append(word)
    return lines


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(15)


def _orientation(of_image: str) -> list[str]:
    """Of the capture, as the image has it: its pixels lie as they lay there. Empty where that is not known (type 2C)."""
    directions = of_image.split("\\")
    fits = len(directions) == 2 and all(re.fullmatch("[APRLHF]{1,3}", one) for one in directions)
    return directions if fits else []


def _source(subject: Subject) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = subject.instance.sop_class
    item.ReferencedSOPInstanceUID = subject.instance.sop_instance_uid
    return item
