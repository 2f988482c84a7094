"""Maps against boxes: by hand, against scikit-learn and torch, and beside the fixed map."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

from cxreader.errors import CxreaderError, DataError, TableError
from cxreader.explanation.boxes import BoxTable, areas
from cxreader.explanation.localisation import Maps, localise, map_scores, stretched
from cxreader.explanation.localisation_report import LocalisationReport
from cxreader.explanation.map_scores import METRICS, ScoringProtocol, ThresholdRule, is_flat, overlaps, peak_and_mass
from cxreader.records import Box

Kind = Literal["share_of_maximum", "top_area"]


def _boxes(
    corners: Sequence[tuple[float, float, float, float]], patients: str | None = None, grid: int = 4
) -> BoxTable:
    """One box an image, in pixels of a `grid`: left, top, width, height."""
    boxes = {f"{n}.png": [Box("Mass", *corner)] for n, corner in enumerate(corners)}
    known = None if patients is None else dict(zip(boxes, patients, strict=True))
    return BoxTable.of(boxes, (grid, grid), known)


def _values(scores: Any, metric: str) -> list[float]:
    return list(scores.values[:, METRICS.index(metric)])


def test_a_box_holds_the_pixels_whose_centre_it_holds() -> None:
    table = _boxes([(0, 0, 2, 1), (0.6, 1.4, 2, 2), (0.5, 0.5, 1, 1), (2.6, 1.2, 0.1, 0.1), (3, 3, 9, 9)])
    expected = [[0, 0, 2, 1], [1, 1, 3, 3], [0, 0, 1, 1], [2, 1, 3, 2], [3, 3, 4, 4]]
    np.testing.assert_array_equal(table.rectangles(4), expected)
    np.testing.assert_array_equal(areas(table.rectangles(4)), [2, 4, 1, 1, 1])
    centres = (np.arange(256) + 0.5) / 256 * 1024
    box = Box("Mass", 225.0847, 547.0192, 86.7797, 79.1864)
    ((x0, y0, x1, y1),) = BoxTable.of({"a": [box]}, (1024, 1024)).rectangles(256)
    np.testing.assert_array_equal(np.flatnonzero((centres >= box.x) & (centres < box.x + box.width)), np.arange(x0, x1))
    np.testing.assert_array_equal(
        np.flatnonzero((centres >= box.y) & (centres < box.y + box.height)), np.arange(y0, y1)
    )


def test_frames_may_differ_by_image() -> None:
    boxes = {"a": [Box("Mass", 0, 0, 50, 50)], "b": [Box("Mass", 0, 0, 100, 50)]}
    table = BoxTable.of(boxes, {"a": (100, 100), "b": (200, 100)})
    np.testing.assert_array_equal(table.edges, [[0, 0, 0.5, 0.5]] * 2)


@pytest.mark.parametrize("kind", ["share_of_maximum", "top_area"])
def test_iou_at_every_share_is_the_jaccard_index_of_scikit_learn(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    heat, rule = np.maximum(rng.normal(size=(24, 24)), 0), ThresholdRule(kind)
    rectangles = np.array([[2, 3, 9, 12], [0, 0, 24, 24], [23, 23, 24, 24]])
    ours = overlaps(rule.levels(heat), len(rule.shares), rectangles)
    order = np.sort(heat.ravel())[::-1]
    for k, share in enumerate(rule.shares):
        threshold = share * heat.max() if kind == "share_of_maximum" else order[round(share * heat.size) - 1]
        mask = (heat >= threshold) & (heat > 0)
        for row, (x0, y0, x1, y1) in enumerate(rectangles):
            truth = np.zeros(heat.shape, bool)
            truth[y0:y1, x0:x1] = True
            assert ours[row, k] == pytest.approx(jaccard_score(truth.ravel(), mask.ravel()), abs=1e-12)


def test_peak_and_mass_by_hand() -> None:
    heat = np.array([[4.0, 4.0, 0], [1, 0, 0], [0, 0, 1]])
    pointing, energy = peak_and_mass(heat, np.array([[0, 0, 1, 2], [0, 0, 3, 1], [1, 1, 3, 3]]))
    np.testing.assert_allclose(pointing, [0.5, 1, 0])  # two pixels tie: each counts a half
    np.testing.assert_allclose(energy, [0.5, 0.8, 0.1])


@pytest.mark.parametrize("shape", [(7, 7), (1, 3), (16, 5)])
def test_stretching_is_the_bilinear_of_torch(shape: tuple[int, int]) -> None:
    from cxreader import torch_setup  # noqa: F401

    # isort: split
    import torch

    raw = np.random.default_rng(1).random(shape)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(raw)[None, None], size=(16, 16), mode="bilinear")
    np.testing.assert_allclose(stretched(raw, 16), theirs[0, 0].numpy(), atol=1e-12)


def test_the_threshold_is_chosen_without_the_boxes_that_are_judged() -> None:
    """By hand: three maps of a strong and a weak half; two boxes are the strong half, the third is both."""
    strong = np.zeros((4, 4))
    strong[:, 0], strong[:, 1] = 1.0, 0.5
    table = _boxes([(0, 0, 1, 4), (0, 0, 1, 4), (0, 0, 2, 4)], "abc")
    scores = map_scores(
        dict.fromkeys(table.image.tolist(), strong), table, ScoringProtocol(grid=4, n_folds=3, fold_seeds=(0, 1))
    )
    # For each of the first two, the others are a tie of 0.75 at both thresholds: the lower one, so 4 of 8 pixels.
    # For the third, both others want the strong half alone: 4 of 8 pixels.
    assert _values(scores, "iou") == [0.5, 0.5, 0.5]
    assert sorted(scores.shares[0]) == [0.02, 0.02, 0.52]
    with_its_own = np.array([1, 1, 0.5])  # what one threshold for all three would give
    assert np.mean(_values(scores, "iou")) < with_its_own.mean()


def test_a_fixed_share_is_kept() -> None:
    heat = np.arange(16.0).reshape(4, 4)
    table = _boxes([(0, 3, 4, 1), (0, 0, 1, 1)], "ab")
    scores = map_scores(
        dict.fromkeys(table.image.tolist(), heat), table, ScoringProtocol(ThresholdRule("top_area", 0.5), 4)
    )
    assert _values(scores, "iou") == [0.5, 0]
    assert _values(scores, "iou_25") == [1, 0]
    assert _values(scores, "iou_50") == [0, 0]  # 0.5 is not above 0.5
    assert _values(scores, "pointing") == [1, 0]
    assert _values(scores, "energy") == [54 / 120, 0]
    assert scores.shares[0] == (0.5, 0.5)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_flat_map_misses_and_says_so(value: float) -> None:
    """A threshold of a share of 0, or of a constant, would call the whole image found."""
    flat = np.full((4, 4), value)
    peaked = np.eye(4)
    assert is_flat(flat)
    assert not is_flat(peaked)
    table = _boxes([(0, 0, 4, 4), (0, 0, 4, 4)], "ab")
    found = localise({"0.png": flat, "1.png": peaked}, table, ScoringProtocol(grid=4), n_resamples=50)
    assert found.all.flat == 1
    assert found.all.model["pointing"].value == 0.5
    assert found.all.model["energy"].value == 0.5
    assert any("1 of 2 boxes is flat" in note for note in found.notes)


def _world(n_patients: int = 40, seed: int = 0) -> tuple[BoxTable, Maps, Maps]:
    """Boxes of two findings anywhere, two images a patient; maps that show them, and maps of noise."""
    rng = np.random.default_rng(seed)
    boxes: dict[str, list[Box]] = {}
    good, noise = {}, {}
    for n in range(2 * n_patients):
        x, y = rng.integers(0, 12, 2)
        boxes[f"{n}.png"] = [Box(("Mass", "Nodule")[n % 2], x, y, 4, 4)]
        good[f"{n}.png"] = np.zeros((16, 16))
        good[f"{n}.png"][y : y + 4, x : x + 4] = 1
        good[f"{n}.png"][y + 1, x + 1] = 2
        noise[f"{n}.png"] = rng.random((16, 16))
    table = BoxTable.of(boxes, (16, 16), {name: f"p{n // 2}" for n, name in enumerate(boxes)})
    return table, good, noise


def test_a_model_that_looks_gains_over_the_fixed_map_and_noise_does_not() -> None:
    table, good, noise = _world()
    found = localise(good, table, ScoringProtocol(grid=16), n_resamples=300)
    assert [g.name for g in found.groups] == ["all", "Mass", "Nodule"]
    assert [(g.boxes, g.images, g.patients) for g in found.groups] == [(80, 80, 40), (40, 40, 40), (40, 40, 40)]
    assert found.all.model["iou"].value == 1
    assert found.all.model["pointing"].value == 1
    assert found.all.gain["iou"].low > 0.5
    assert found.statement().endswith(": more.")
    blind = localise(noise, table, ScoringProtocol(grid=16), n_resamples=300)
    assert blind.all.gain["pointing"].low < 0 < blind.all.gain["pointing"].high
    assert blind.all.null["iou"] == found.all.null["iou"]  # the fixed map looks at no image
    assert "no difference shown" in blind.statement("pointing")


def _by_finding(table: BoxTable, maps: Maps, other: Maps) -> dict[tuple[str, str], Any]:
    """Of each image a map of its finding, and of the other finding one that must not be asked."""
    names: dict[str, str] = dict(zip(table.image.tolist(), table.finding.tolist(), strict=True))
    own, strange = dict(maps.items()), dict(other.items())
    found: dict[tuple[str, str], Any] = {(image, finding): own[image] for image, finding in names.items()}
    return found | {
        (image, "Mass" if finding == "Nodule" else "Nodule"): strange[image] for image, finding in names.items()
    }


def test_of_maps_by_finding_a_box_is_judged_by_the_map_of_its_own() -> None:
    table, good, noise = _world()
    protocol = ScoringProtocol(grid=16)
    found = localise(_by_finding(table, good, noise), table, protocol, name="Region head", n_resamples=50)
    assert found.all.model["iou"].value == 1
    assert (found.title, found.slug) == ("Region head, by finding", "region_head_by_finding")
    swapped = localise(_by_finding(table, noise, good), table, protocol, n_resamples=50)
    assert swapped.all.model["iou"].value < 0.3
    whatever = localise(good, table, protocol, n_resamples=50)
    assert (whatever.title, whatever.slug) == ("Grad-CAM, whatever the finding", "grad_cam")
    with pytest.raises(DataError, match=r"Mass in image 0\.png has boxes but no map"):
        localise({(str(image), "Nodule"): one for image, one in good.items()}, table, protocol)


def test_maps_by_finding_have_a_threshold_for_each_finding() -> None:
    """Large boxes of one finding want the whole map, small ones of the other its strong half: one share cannot serve both."""
    strong = np.zeros((4, 4))
    strong[:, 0], strong[:, 1] = 1.0, 0.5
    boxes = {f"{n}": [Box("Mass", 0, 0, 2, 4) if n % 2 else Box("Nodule", 0, 0, 1, 4)] for n in range(8)}
    table = BoxTable.of(boxes, (4, 4), {name: name for name in boxes})
    protocol = ScoringProtocol(grid=4, n_folds=8, fold_seeds=(0,))
    by_finding = {(name, found[0].finding): strong for name, found in boxes.items()}
    assert _values(map_scores(by_finding, table, protocol), "iou") == [1.0] * 8
    assert sum(_values(map_scores(dict.fromkeys(boxes, strong), table, protocol), "iou")) < 7


def test_who_knows_only_where_findings_of_each_kind_are_gains_over_one_fixed_map_and_not_over_both() -> None:
    """Each finding has its side; the maps know the side, and nothing of the image."""
    rng, boxes, sides = np.random.default_rng(5), {}, {}
    for n in range(60):
        x, name = (1, "Mass") if n % 2 else (9, "Nodule")
        boxes[f"{n}"] = [Box(name, x + float(rng.integers(0, 3)), float(rng.integers(0, 12)), 4, 4)]
        sides[f"{n}", name] = np.zeros((16, 16))
        sides[f"{n}", name][:, x : x + 6] = 1
        sides[f"{n}", name][6:9, x + 2 : x + 4] = 2
    table = BoxTable.of(boxes, (16, 16), {name: name for name in boxes})
    found = localise(sides, table, ScoringProtocol(grid=16), n_resamples=300)
    assert found.all.gain["iou"].low > 0
    assert found.all.gain_by_finding["iou"].low < 0
    assert not found.all.gains_over_both()
    assert found.statement().count(": more") == 1
    for metric in METRICS:
        gain = found.all.model[metric].value - found.all.null_by_finding[metric].value
        assert found.all.gain_by_finding[metric].value == pytest.approx(gain, abs=1e-12)
    seen = localise({key: _shown(boxes[key[0]][0]) for key in sides}, table, ScoringProtocol(grid=16), n_resamples=300)
    assert seen.all.gains_over_both()
    assert seen.statement().endswith(": more.")
    assert seen.statement().count(": more") == 2


def test_of_few_patients_nothing_is_said_whatever_the_gain() -> None:
    for count, word in ((19, "too few patients to say"), (20, "more")):
        boxes = {f"{n}": [Box("Mass", 3 * (n % 4), 3 * (n // 4 % 4), 4, 4)] for n in range(count)}
        table = BoxTable.of(boxes, (16, 16), {name: name for name in boxes})
        maps = {name: _shown(found[0]) for name, found in boxes.items()}
        found = localise(maps, table, ScoringProtocol(grid=16), n_resamples=100)
        assert found.all.gain["iou"].low > 0
        assert found.statement().count(f": {word}") == 2
        assert found.all.gains_over_both() is (count == 20)


def _shown(box: Box) -> np.ndarray[Any, Any]:
    one = np.zeros((16, 16))
    one[int(box.y) : int(box.y + 4), int(box.x) : int(box.x + 4)] = 1
    return one


def test_reports_of_earlier_versions_still_open() -> None:
    table, good, _ = _world(8)
    made = localise(good, table, ScoringProtocol(grid=16), n_resamples=50).to_dict()
    for name in ("maps", "by_finding"):
        del made[name]
    for group in made["groups"]:
        del group["null_by_finding"], group["gain_by_finding"]
    found = LocalisationReport.from_dict(made)
    assert not found.all.gains_over_both()  # nobody measured the second
    assert found.statement().count("looks at no image") == 1


def test_gain_is_paired_and_its_interval_by_patient_has_the_closed_form() -> None:
    """The mean over boxes with equal patients: the standard error is that of the patients' means."""
    table, _, noise = _world(120, seed=3)
    found = localise(noise, table, ScoringProtocol(grid=16))
    for metric in METRICS:
        group = found.all
        gain = group.model[metric].value - group.null[metric].value
        assert group.gain[metric].value == pytest.approx(gain, abs=1e-12)
    energy = np.array(_values(map_scores(noise, table, ScoringProtocol(grid=16)), "energy"))
    patients = np.array([energy[table.groups == g].mean() for g in range(120)])
    estimate = found.all.model["energy"]
    width = 2 * 1.96 * patients.std(ddof=1) / np.sqrt(120)
    assert estimate.value == pytest.approx(energy.mean())
    assert estimate.high - estimate.low == pytest.approx(width, rel=0.08)
    assert (estimate.n_positive, estimate.n_negative, estimate.n_patients) == (240, 0, 120)


def test_means_are_per_box_and_the_images_are_counted() -> None:
    boxes = {"a": [Box("Mass", 0, 0, 1, 1), Box("Mass", 3, 3, 1, 1)], "b": [Box("Mass", 0, 0, 1, 1)]}
    table = BoxTable.of(boxes, (4, 4), {"a": "p", "b": "q"})
    peak = np.zeros((4, 4))
    peak[0, 0] = 1
    found = localise({"a": peak, "b": peak}, table, ScoringProtocol(grid=4), n_resamples=50)
    assert found.all.model["pointing"].value == pytest.approx(2 / 3)
    assert (found.all.boxes, found.all.images, found.all.model["pointing"].n_positive) == (3, 2, 2)


def test_unknown_patients_are_said() -> None:
    table, good, _ = _world(6)
    found = localise(good, BoxTable(table.image, table.finding, table.edges), ScoringProtocol(grid=16), n_resamples=50)
    assert found.all.patients is None
    assert found.all.gain["iou"].n_patients is None
    assert any("No patient is known" in note for note in found.notes)


def test_the_report_comes_back_from_json_exactly() -> None:
    table, good, _ = _world(8)
    found = localise(good, table, ScoringProtocol(ThresholdRule("top_area"), 16), n_resamples=50)
    text = json.dumps(found.to_dict(), allow_nan=False)
    again = LocalisationReport.from_dict(json.loads(text))
    assert json.dumps(again.to_dict(), allow_nan=False) == text
    assert again.rule == found.rule
    assert again.fold_seeds == found.fold_seeds
    assert again.null_shares == found.null_shares
    assert again.groups[1].gain["iou_50"] == found.groups[1].gain["iou_50"]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (np.full((4, 4), np.nan), "not finite"),
        (np.full((4, 4), -1.0), "below 0"),
        (np.ones((9, 4)), r"shape \(9, 4\)"),
        (np.ones(4), "shape"),
        (None, "no map"),
    ],
)
def test_maps_that_cannot_be_judged(raw: Any, what: str) -> None:
    table = _boxes([(0, 0, 1, 1), (0, 0, 2, 2)], "ab")
    maps = {"0.png": np.eye(4)} | ({} if raw is None else {"1.png": raw})
    with pytest.raises(DataError, match=what):
        localise(maps, table, ScoringProtocol(grid=8))


@pytest.mark.parametrize(
    ("corner", "what"),
    [((0, 0, 0, 1), "no area"), ((9, 0, 1, 1), "no area"), ((0, float("nan"), 1, 1), "no area")],
)
def test_boxes_that_cannot_be_found(corner: tuple[float, float, float, float], what: str) -> None:
    with pytest.raises(TableError, match=what):
        _boxes([corner])


def test_tables_that_do_not_hold() -> None:
    one = np.array(["a", "a"], np.str_)
    edges = np.tile([0, 0, 0.5, 0.5], (2, 1))
    with pytest.raises(TableError, match="two patients"):
        BoxTable(one, one, edges, np.array(["p", "q"], np.str_))
    with pytest.raises(TableError, match="length"):
        BoxTable(one, one, edges[:1])
    with pytest.raises(TableError, match="no box"):
        BoxTable.of({}, (4, 4))
    with pytest.raises(TableError, match="one patient"):
        localise({"a": np.eye(4)}, BoxTable(one, one, edges, one), ScoringProtocol(grid=4))
    with pytest.raises(CxreaderError, match="outside 0 to 1"):
        ThresholdRule(fixed=0.0)
