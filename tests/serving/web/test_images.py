"""Pixels, maps and originals as they are sent."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydicom import dcmread
from tests.serving.web.world import World, revise
from tests.serving.world import dicom, png, read_all

from cxreader.imaging.radiograph import Radiograph
from cxreader.imaging.read import read
from cxreader.serving.store.reading.results import HEAT, frame
from cxreader.serving.store.tables.readings import HeatMap
from cxreader.serving.web.app import create_app
from cxreader.serving.worker import decoded


def test_pixels_are_the_file_s_own_values_packed_or_not(world: World) -> None:
    image = world.service.receive(dicom(5), door="http").instance
    client = world.by_token()
    about = client.get(f"/api/v1/images/{image}/picture").json()
    assert (about["rows"], about["columns"], about["bits"]) == (72, 96, 12)
    plain = client.get(f"/api/v1/images/{image}/pixels", headers={"Accept-Encoding": "identity"})
    values = np.frombuffer(plain.content[: 2 * 72 * 96], "<u2").reshape(72, 96)
    np.testing.assert_array_equal(values, dcmread(io.BytesIO(dicom(5))).pixel_array)
    assert len(plain.content) == about["bytes"]
    with client.stream("GET", f"/api/v1/images/{image}/pixels", headers={"Accept-Encoding": "gzip, zstd"}) as packed:
        assert packed.headers["content-encoding"] == "zstd"
        sent = b"".join(packed.iter_raw())
    assert pa.Codec("zstd").decompress(sent, decompressed_size=about["bytes"], asbytes=True) == plain.content
    tag = plain.headers["etag"]
    again = client.get(f"/api/v1/images/{image}/pixels", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert plain.headers["cache-control"] == "private, no-cache"
    assert world.client().get(f"/api/v1/images/{image}/pixels", headers={"If-None-Match": tag}).status_code == 401


def test_pixels_are_decoded_by_the_site_s_own_terms_as_they_are_read(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "terms.toml").write_text('[view]\n"STEHEND" = "PA"\n')
    world.service.settings = world.service.settings.model_copy(update={"terms": tmp_path / "terms.toml"})
    views: list[str | None] = []

    def seen(*args: Any, **more: Any) -> Radiograph:
        found = read(*args, **more)
        views.append(found.view)
        return found

    monkeypatch.setattr(decoded, "read", seen)
    image = world.service.receive(dicom(5, ViewPosition="STEHEND"), door="http").instance
    assert world.by_token().get(f"/api/v1/images/{image}/picture").status_code == 200
    assert views == ["PA"]


def test_the_original_is_what_was_sent_under_a_name_that_tells_nothing(world: World) -> None:
    image = world.service.receive(dicom(5), door="http", name="Doe^Jane.dcm").instance
    answer = world.by_token().get(f"/api/v1/images/{image}/original")
    assert answer.content == dicom(5)
    assert answer.headers["content-disposition"] == f'attachment; filename="{image}.dcm"'


@pytest.mark.parametrize("shown", [True, False])
def test_maps_are_shown_above_the_operating_point_alone_and_not_where_they_are_silenced(
    world: World, shown: bool
) -> None:
    world.service.receive(png(1, side=80), door="http")
    read_all(world.service)
    settings = world.service.settings.model_copy(update={"show_regions": shown})
    world.service.settings = settings
    client = replace(world, app=create_app(settings, world.service)).by_token()
    key, result = _alarm(world)
    with world.service.database.writing() as session:
        kept = HeatMap(result_id=result, model="m", kind=HEAT, finding="", fit="pad", height=2, width=3)
        kept.data = np.array([[0, 0.5, 1], [2, 3, 4]], "<f2").tobytes()
        session.add(kept)
    told: dict[str, Any] = client.get(f"/api/v1/results/{key}/maps").json()
    if not shown:
        why = "this site shows no regions"
        assert told == {"maps": [], "why": why, "regions": [], "about_regions": why}
        return
    made = told["maps"][-1]
    assert made["values"] == [[0, 0.5, 1], [2, 3, 4]]
    assert tuple(made["frame"]) == frame("pad", 80, 80)
    key, _ = _alarm(world, decision="normal")
    assert client.get(f"/api/v1/results/{key}/maps").json()["maps"] == []


def _alarm(world: World, decision: str = "abnormal") -> tuple[str, int]:
    """Key and id of the next revision of the one result, which says so."""
    (made,) = revise(world.service, lambda _: {"decision": decision})
    return made.key, made.id
