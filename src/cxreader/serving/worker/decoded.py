"""A file is decoded once: for the networks, and for the viewer."""

from __future__ import annotations

from dataclasses import dataclass

from cxreader.errors import ImageError
from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read
from cxreader.imaging.site_terms import SiteTerms
from cxreader.imaging.stored import StoredPicture
from cxreader.inference.pixel_budget import PixelBudget
from cxreader.inference.prepared import Prepared, prepare_or_reason, unread
from cxreader.inference.reader import Reader
from cxreader.serving.store.objects import ObjectStore
from cxreader.serving.store.pixels import packed
from cxreader.serving.store.results import KeptPixels


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What the networks are given of a file, and where its pixels were put; None where it cannot be decoded, or none are kept."""

    prepared: Prepared
    pixels: KeptPixels | None = None


def decode(reader: Reader, objects: ObjectStore, content: bytes, name: str, *, pixels: bool) -> Decoded:
    """Decode a file; `name` stands for it in its Reading. Raises StorageError when the pixels cannot be put away."""
    with reader.pixel_budget.slot() as reserve:
        kept: list[StoredPicture] = []
        try:
            shown = read(content, name=name, reserve=reserve, site=reader.site, keep=kept.append if pixels else None)
        except ImageError as error:
            return Decoded(unread(name, error))
        except Exception as error:  # noqa: BLE001 - what no decoder was expected to raise must not end a batch
            return Decoded(
                Prepared(name, {}, None, (f"the decoder failed ({type(error).__name__}); please report it",))
            )
        prepared = prepare_or_reason(shown, reader.specs, name=name)
        return Decoded(prepared, put_pixels(objects, kept[0], shown) if kept else None)


def decode_pixels(objects: ObjectStore, content: bytes, name: str, *, site: SiteTerms | None = None) -> KeptPixels:
    """The pixels of a file alone, for a viewer that asks for what was not kept. Raises ImageError, StorageError."""
    kept: list[StoredPicture] = []
    with _BUDGET.slot() as reserve:
        shown = read(content, name=name, reserve=reserve, site=site, keep=kept.append)
        return put_pixels(objects, kept[0], shown)


def put_pixels(objects: ObjectStore, picture: StoredPicture, shown: Radiograph) -> KeptPixels:
    """Put a decoded picture away. It can be made again from its file, so that nobody waits until it is on the disk."""
    data, about = packed(picture, shown)
    return KeptPixels(objects.put(data, durable=False), len(data), about)


_BUDGET = PixelBudget(1)
