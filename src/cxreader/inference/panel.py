"""A reading as one picture: the image and its heat maps side by side, a scale, and below them the answer in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxreader.counting import format_count
from cxreader.explanation.judged import judged_maps
from cxreader.explanation.localisation_report import REGION_HEAD
from cxreader.imaging.overlay import overlay
from cxreader.imaging.radiograph import Radiograph
from cxreader.inference.answer_text import interval_text, probability_text
from cxreader.inference.batch.names import on_one_line
from cxreader.inference.box_names import box_name, named_boxes
from cxreader.inference.member import Member
from cxreader.inference.reader import Reader
from cxreader.inference.text_font import Font, cut, font
from cxreader.models.registry import CAM_TITLES, model_entry
from cxreader.records import Box, Reading

SIDE = 512
"""Pixels of a panel's longer side: its caption has room, and a large picture no more than a small one."""
_LINE, _FONT, _EDGE = 21, 15, 8  # pixels
_LEAST = 336  # pixels: the height that the scale needs beside a picture that is wide and low
_BAR, _SCALE = 22, 150  # pixels: the width of the colour bar, and of the column that holds it
_INK, _MUTED, _ALARM = (240, 240, 240), (170, 178, 186), (255, 150, 90)
_RESEARCH = "For research; not a medical device."
_WARM = "A warm place of a heat map speaks for abnormal; it is no outline of a finding."
Line = tuple[str, tuple[int, int, int]]


def draw_panel(
    image: Radiograph, reading: Reading, reader: Reader, boxes: Sequence[Box] = (), finding: str | None = None
) -> NDArray[np.uint8]:
    """The image, each model's heat map over it, its region map where it has a region head, and their scale, with captions below.

    uint8 (H, W, 3).

    Nothing is written over the picture, but that `boxes`, in the image's pixels, are outlined and named in each panel. A heat
    map is coloured by its own scale: what stands above its minimum, as a share of its maximum (`imaging.overlay.heat_scale`);
    a region map, which is in [0, 1], as it is. `finding`: whose region map is drawn; that of any finding when None.
    A reading without an answer has its reasons where the map would be.
    """
    shown = _fitted(image.pixels)
    placed = [
        box.scaled(shown.shape[1] / image.pixels.shape[1], shown.shape[0] / image.pixels.shape[0]) for box in boxes
    ]
    several = bool(reading.members)
    panels = [(named_boxes(overlay(shown), placed), "Image")]
    for n, (member, own) in enumerate(zip(reader.members, reading.members or (reading,), strict=True), 1):
        name = (
            f"Model {n}: {member.artifact.model}, {_answer(own, interval=False)}"
            if several
            else f"Heat map ({_method(member)}): what moved the score"
        )
        if own.heat_map is None:
            panels.append((_without_map(shown.shape, reading), name))
        else:
            drawn = overlay(shown, own.heat_map, spec=member.artifact.spec)
            panels.append((named_boxes(drawn, placed), name))
        regions = _region_map(own, finding)
        if regions is not None:
            drawn = overlay(shown, regions, spec=member.artifact.spec, as_it_is=True)
            panels.append((named_boxes(drawn, placed), _of_regions(member, n, finding, several=several)))
    height = max(shown.shape[0], _LEAST)
    width = SIDE * len(panels) + _SCALE
    lines = list(_wrapped([*_captions(reading, reader, finding), *_boxed(boxes)], width - 2 * _EDGE))
    sheet = Image.new("RGB", (width, _LINE + height + _LINE * len(lines) + 2 * _EDGE))
    draw = ImageDraw.Draw(sheet)
    for n, (panel, title) in enumerate(panels):
        draw.text((n * SIDE + _EDGE, 1), _cut(title, SIDE - 2 * _EDGE), _MUTED, _font())
        sheet.paste(Image.fromarray(panel), (n * SIDE + (SIDE - panel.shape[1]) // 2, _LINE))
    if any(own.heat_map is not None for own in reading.members or (reading,)):
        _draw_scale(sheet, SIDE * len(panels), height, reading, finding)
    for n, (line, colour) in enumerate(lines):
        draw.text((_EDGE, _LINE + height + _EDGE + n * _LINE), line, colour, _font())
    return np.asarray(sheet)


def _fitted(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The picture with a longer side of `SIDE` pixels."""
    image = Image.fromarray(pixels)
    scale = SIDE / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    resized = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    return np.asarray(np.clip(np.asarray(resized), 0, 1), np.float32)


def _draw_scale(sheet: Image.Image, left: int, height: int, reading: Reading, finding: str | None) -> None:
    """The colour bar, as the maps' colours look over a middle grey, with what its numbers are and each map's maximum."""
    draw, answers = ImageDraw.Draw(sheet), reading.members or (reading,)
    above = ["Heat, as a share", "of its maximum"]
    if any(own.region_map is not None for own in answers):
        above += ["Regions, in [0, 1]"]
    top, below = _LINE + (len(above) + 1) * _LINE, list(_maxima(answers, finding))
    tall = max(3 * _LINE, min(height - (len(above) + 2 + len(below)) * _LINE, 220))
    ramp = np.repeat(np.linspace(1, 0, tall, dtype=np.float32)[:, None], _BAR, axis=1)
    sheet.paste(Image.fromarray(overlay(np.full((tall, _BAR), 0.5, np.float32), ramp)), (left + _EDGE, top))
    for n, line in enumerate(above):
        draw.text((left + _EDGE, _LINE + n * _LINE), line, _MUTED, _font())
    for share in (1.0, 0.5, 0.0):
        y = top + round((1 - share) * (tall - 1))
        draw.line((left + _EDGE + _BAR, y, left + _EDGE + _BAR + 5, y), _INK)
        draw.text((left + _EDGE + _BAR + 10, y), f"{share:g}", _INK, _font(), anchor="lm")
    for n, line in enumerate(below):
        draw.text((left + _EDGE, top + tall + _LINE // 2 + n * _LINE), line, _MUTED, _font())


def _maxima(answers: Sequence[Reading], finding: str | None) -> Iterator[str]:
    """The raw maximum of each map that is drawn, by its name."""
    yield "Raw maxima"
    for n, own in enumerate(answers, 1):
        whose = f" {n}" if len(answers) > 1 else ""
        for name, drawn in (("heat", own.heat_map), ("regions", _region_map(own, finding))):
            if drawn is not None:
                high = float(drawn.max())
                yield f"{name}{whose}: {f'{high:.2g}' if high > 0 else '0, flat'}"


def _region_map(own: Reading, finding: str | None) -> NDArray[np.float32] | None:
    return own.region_map if finding is None else own.region_maps.get(finding)


def _captions(reading: Reading, reader: Reader, finding: str | None) -> Iterator[Line]:
    point = reading.operating_point
    yield on_one_line(reading.image), _INK
    if reading.acceptance == "refused":
        forced = "Refused, and answered by force" if reading.value is not None else "Refused"
        yield f"{forced}: {'; '.join(reading.reasons)}", _ALARM
    if reading.value is not None:
        mean = f" (mean of {len(reading.members)} models)" if reading.members else ""
        conformal = "" if reading.conformal is None else f"; conformal rule: {reading.conformal}"
        yield f"{_answer(reading)}{mean}; abnormal from {point.threshold:.3f} on ({point.name}){conformal}", _INK
    if reading.acceptance == "warning" or (reading.acceptance == "accepted" and reading.reasons):
        yield f"Warning: {'; '.join(reading.reasons)}", _ALARM
    for n, (member, own) in enumerate(zip(reader.members, reading.members or (reading,), strict=True), 1):
        of = f"{member.artifact.model}, artifact {member.id}, {member.artifact.transfer}"
        yield f"Model {n}: {of}: {_answer(own)}" if reading.members else f"Model: {of}", _MUTED
    for doubt in reader.doubts:
        yield doubt, _ALARM
    for member, own in zip(reader.members, reading.members or (reading,), strict=True):
        yield from _places(member, own, finding)
    mapped = any(own.heat_map is not None for own in reading.members or (reading,))
    yield f"{_RESEARCH} {_WARM}" if mapped else _RESEARCH, _MUTED


def _method(member: Member) -> str:
    return CAM_TITLES[model_entry(member.artifact.model).cam_method]


def _of_regions(member: Member, n: int, finding: str | None, *, several: bool) -> str:
    head = member.artifact.region_head
    boxes = 0 if head is None else sum(head.boxes.values()) if finding is None else head.boxes[finding]
    where = "findings lie" if finding is None else f"{_in_words(finding)} would lie"
    return f"{f'Model {n}: region' if several else 'Region'} head, from {format_count(boxes, '[box|boxes]')}: where {where}"


def _places(member: Member, own: Reading, finding: str | None) -> Iterator[Line]:
    """What the region head is, and how well it finds boxes; nothing without one."""
    head = member.artifact.region_head
    if head is None or _region_map(own, finding) is None:
        return
    yield f"R{head.description[1:]}. It says where a finding lies, not why the image is called abnormal.", _INK
    judged = judged_maps(member.artifact.evaluation, REGION_HEAD, by_finding=finding is not None)
    whose = "Whatever the finding" if finding is None else "By finding"
    if judged is None:
        yield f"{whose}, its maps were judged against no boxes: how well they find anything is not known.", _ALARM
    else:
        found = f"{judged.too_few}." if judged.too_few else judged.statement()
        yield (
            f"{whose}, judged on {format_count(judged.boxes, '[box|boxes]')}: {found}",
            _MUTED if judged.gains_over_both() else _ALARM,
        )


def _in_words(finding: str) -> str:
    return finding.replace("_", " ").lower()


def _boxed(boxes: Sequence[Box]) -> Iterator[Line]:
    """What the outlines are; nothing without one."""
    if boxes:
        names = ", ".join(dict.fromkeys(map(box_name, boxes)))
        yield (
            f"Outlined: {format_count(len(boxes), '[box|boxes]')} that came with the image, not the network's: {names}",
            _INK,
        )


def _answer(reading: Reading, *, interval: bool = True) -> str:
    """`abnormal, probability 0.952 (interval 0.900-0.980)`, `abnormal, score 0.952`, or `no answer`."""
    if reading.value is None or reading.decision is None:
        return "no answer"
    threshold, ends = reading.operating_point.threshold, ""
    if interval and reading.interval is not None and reading.probability is not None:
        ends = f" (interval {interval_text(reading.probability, *reading.interval, threshold)})"
    name = "score" if reading.probability is None else "probability"
    return f"{reading.decision}, {name} {probability_text(reading.value, threshold)}{ends}"


def _without_map(shape: tuple[int, ...], reading: Reading) -> NDArray[np.uint8]:
    """A dark panel that says why there is no map."""
    height, width = shape
    picture = Image.new("RGB", (width, height), (24, 26, 29))
    draw = ImageDraw.Draw(picture)
    why: Iterable[Line] = [("No map: the image was refused", _ALARM), *((reason, _INK) for reason in reading.reasons)]
    for n, (line, colour) in enumerate(_wrapped(why, width - 4 * _EDGE)):
        draw.text((2 * _EDGE, 2 * _EDGE + n * _LINE), line, colour, _font())
    return np.asarray(picture)


def _wrapped(lines: Iterable[Line], width: int) -> Iterator[Line]:
    """Lines of at most `width` pixels, broken between words, or within one that is longer."""
    for text, colour in lines:
        line = ""
        for word in text.split(" "):
            tried = f"{line} {word}" if line else word
            if _font().getlength(tried) <= width:
                line = tried
                continue
            if line:
                yield line, colour
            line = word
            while _font().getlength(line) > width:
                end = next(n for n in range(len(line), 0, -1) if n == 1 or _font().getlength(line[:n]) <= width)
                if end == len(line):
                    break
                yield line[:end], colour
                line = line[end:]
        yield line, colour


def _cut(text: str, width: int) -> str:
    return cut(text, width, _font())


def _font() -> Font:
    return font(_FONT)
