"""A grayscale softcopy presentation state: regions drawn over the image as it is shown, with no window or zoom of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cxreader.imaging.dicom.parse import parse_elements
from cxreader.serving.results.sr import outline
from cxreader.serving.results.subject import Subject, dated
from cxreader.serving.results.uids import GSPS, SERIES

if TYPE_CHECKING:
    from pydicom import Dataset

LAYER = "CXREADER"
_SHOWN = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsStored",
    "PixelRepresentation",
    "ModalityLUTSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "WindowCenterWidthExplanation",
    "VOILUTFunction",
)
"""How the image is shown: copied, so that the state changes nothing but what is drawn."""


def presentation(subject: Subject, original: bytes) -> Dataset:
    """The state of a grey image with at least one region; `original` is its file."""
    from highdicom import PresentationLUTTransformation
    from highdicom.pr import GrayscaleSoftcopyPresentationState

    image = _image(subject, original)
    inverse = image.PhotometricInterpretation == "MONOCHROME1"
    made = GrayscaleSoftcopyPresentationState(
        referenced_images=[image],
        content_label=LAYER,
        content_description=SERIES[GSPS].description,
        graphic_layers=[_layer()],
        graphic_annotations=[_annotation(image, subject)],
        presentation_lut_transformation=PresentationLUTTransformation("INVERSE" if inverse else "IDENTITY"),
        **subject.common(GSPS),
    )
    made.SeriesDescription, made.BodyPartExamined = SERIES[GSPS].description, "CHEST"
    return dated(made, subject)


def _image(subject: Subject, original: bytes) -> Dataset:
    from pydicom.datadict import tag_for_keyword

    header, _ = parse_elements(original, [tag_for_keyword(word) or 0 for word in (*_SHOWN, "SpecificCharacterSet")])
    image = subject.source()
    for keyword in _SHOWN:
        if keyword in header and header[keyword].VM:
            image[keyword] = header[keyword]
    return image


def _layer() -> Any:
    from highdicom.pr import GraphicLayer

    return GraphicLayer(LAYER, order=1, description=SERIES[GSPS].description)


def _annotation(image: Dataset, subject: Subject) -> Any:
    from highdicom.pr import GraphicAnnotation, GraphicObject, TextObject

    shapes = [GraphicObject("POLYLINE", outline(region), "PIXEL") for region in subject.regions]
    texts = [
        TextObject(f"AI region {n} ({region.source})", "PIXEL", anchor_point=(region.box.x, region.box.y))
        for n, region in enumerate(subject.regions, 1)
    ]
    return GraphicAnnotation([image], _layer(), graphic_objects=shapes, text_objects=texts)
