"""Verdicts, locks, and the table that is exported: `cxreader evaluate` takes it as it is."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from tests.serving.web.world import World, revise
from tests.serving.world import dicom, read_all

from cxreader.errors import StorageError
from cxreader.evaluation.predictions import read_models
from cxreader.tables import read_table


def _read(world: World, count: int) -> list[str]:
    """Keys of so many studies that are read; the first half is called abnormal, the others normal."""
    for n in range(count):
        world.service.receive(dicom(n, PatientID=f"P{n // 2}", PatientAge="095Y", ViewPosition="DOE JANE"), door="http")
    read_all(world.service)

    def tell(number: int) -> dict[str, Any]:
        told = {"decision": "abnormal" if number < count / 2 else "normal", "probability": 0.9 - number / 20}
        return told | {"score": None, "acceptance": "accepted", "reasons": []}

    revise(world.service, tell)
    entries = world.service.worklist().entries
    return [one.study.key for one in sorted(entries, key=lambda one: one.study.id)]


def test_verdicts_stay_and_a_final_one_ends_the_reading(world: World) -> None:
    (key,) = _read(world, 1)
    reader = world.browser()
    given = {"kind": "rejected", "stage": "provisional", "comment": "no effusion", "seconds": 12.5}
    assert reader.post(f"/api/v1/studies/{key}/verdicts", json=given).status_code == 201
    assert reader.post(f"/api/v1/studies/{key}/verdicts", json={"kind": "accepted"}).status_code == 201
    study = reader.get(f"/api/v1/studies/{key}").json()
    assert [(v["kind"], v["stage"], v["reader"]) for v in study["verdicts"]] == [
        ("rejected", "provisional", "reader"),
        ("accepted", "final", "reader"),
    ]
    assert study["state"] == "done"
    assert reader.get("/api/v1/worklist").json()["studies"] == []
    assert [one["study"] for one in reader.get("/api/v1/worklist?state=done").json()["studies"]] == [key]


def test_a_lock_warns_and_can_be_handed_over(world: World) -> None:
    (key,) = _read(world, 1)
    first, second = world.browser("reader"), world.browser("admin")
    path = f"/api/v1/studies/{key}/lock"
    assert first.put(path).json()["yours"]
    theirs = second.put(path).json()
    assert (theirs["reader"], theirs["yours"]) == ("reader", False)
    assert second.get(f"/api/v1/studies/{key}").json()["lock"]["reader"] == "reader"
    assert second.put(path, params={"over": True}).json()["yours"]
    assert first.delete(path).status_code == 204  # not theirs any more: nothing happens
    assert first.get(f"/api/v1/studies/{key}").json()["lock"]["reader"] == "admin"
    assert second.delete(path).status_code == 204
    assert first.get(f"/api/v1/studies/{key}").json()["lock"] is None


def test_a_heartbeat_takes_nothing_back_that_another_one_handed_over(world: World) -> None:
    (key,) = _read(world, 1)
    first, second = world.browser("reader"), world.browser("admin")
    path = f"/api/v1/studies/{key}/lock"
    assert first.put(path).json()["handed"] is False
    assert second.put(f"/api/v1/studies/{key}/reader", json={"reader": "admin"}).status_code == 204
    told = first.put(path).json()
    assert (told["reader"], told["yours"], told["handed"]) == ("admin", False, True)
    assert first.get(f"/api/v1/studies/{key}").json()["lock"] is None
    assert second.put(path).json()["yours"]
    assert first.put(path, params={"over": True}).json()["yours"]


def test_a_study_is_put_aside_and_back(world: World) -> None:
    (key,) = _read(world, 1)
    reader = world.browser()
    assert reader.put(f"/api/v1/studies/{key}/state", json={"state": "pending"}).status_code == 204
    assert [one["study"] for one in reader.get("/api/v1/worklist?state=pending").json()["studies"]] == [key]
    assert reader.put(f"/api/v1/studies/{key}/state", json={"state": "open"}).status_code == 204
    assert len(reader.get("/api/v1/worklist").json()["studies"]) == 1


def test_pages_follow_each_other_by_cursor(world: World) -> None:
    keys, reader = set(_read(world, 5)), world.by_token()
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = reader.get("/api/v1/worklist", params={"size": 2, **cursor}).json()
        seen += [one["study"] for one in page["studies"]]
        cursor = {"cursor": page["cursor"]}
    assert page["cursor"] is None
    assert (len(seen), set(seen)) == (5, keys)
    assert reader.get("/api/v1/worklist", params={"cursor": "bogus"}).status_code == 400


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_export_is_judged_as_it_is_and_names_nobody(world: World, form: str, tmp_path: Path) -> None:
    keys, reader = _read(world, 4), world.by_token("reader")
    said = ["accepted", "rejected", "accepted", "supplemented"]
    for key, kind in zip(keys, said, strict=True):
        assert reader.post(f"/api/v1/studies/{key}/verdicts", json={"kind": kind}).status_code == 201
    answer = world.by_token("admin").get("/api/v1/export", params={"form": form})
    file = tmp_path / f"readings.{form}"
    file.write_bytes(answer.content)
    (table,) = read_models(file).tables.values()
    assert table.label.tolist() == [1, 0, 0, 1]
    assert table.probability.tolist() == pytest.approx([0.9, 0.85, 0.8, 0.75])
    assert table.patient is not None
    assert [table.patient[0] == table.patient[1], table.patient[1] == table.patient[2]] == [True, False]
    assert table.columns["age"].tolist() == [90.0] * 4
    text = str(read_table(file).columns if form == "parquet" else answer.text)
    for secret in ("P0", "DOE", "Doe", "1.2.3", "4711", "ACC0815"):
        assert secret not in text
    assert list((world.service.settings.home / "incoming" / "web").iterdir()) == []


def test_images_without_a_verdict_have_no_label(world: World) -> None:
    _read(world, 1)
    (row,) = csv.DictReader(io.StringIO(world.by_token("admin").get("/api/v1/export").text))
    assert (row["label"], row["verdict"], row["decision"]) == ("", "", "abnormal")


def test_an_export_that_fails_leaves_nothing_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _read(world, 1)

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    admin = world.by_token("admin")
    monkeypatch.setattr("cxreader.serving.web.api.export.audit.note", full)
    assert admin.get("/api/v1/export").status_code == 503
    assert list((world.service.settings.home / "incoming" / "web").iterdir()) == []
