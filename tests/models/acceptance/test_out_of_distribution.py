"""The rule that says which images a network knows: its distance, its eye for what stands upright, its promised rate."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import mahalanobis

from cxreader.errors import ArtifactError
from cxreader.models.acceptance.feature_distance import FeatureDistance, fit_distance
from cxreader.models.acceptance.orientation import (
    LOOKS,
    Orientation,
    fit_orientation,
    inverted,
    standardised_thumbnails,
    turned,
)
from cxreader.models.acceptance.out_of_distribution import (
    LEAST_IMAGES,
    OODDetector,
    conformal_rank,
    fit_ood_detector,
    how_far,
)
from cxreader.models.acceptance.sharpness import sharpness

SIDE = 64


def _chests(random: np.random.Generator, count: int) -> np.ndarray:
    """Pictures with an up, a left and a polarity: dark fields on a bright body, a bright patch low on the right side."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    found = np.empty((count, SIDE, SIDE), np.uint8)
    for n in range(count):
        shift, grey = random.integers(-3, 4, 2), random.uniform(0.8, 1.2)
        picture = 170.0 * np.ones((SIDE, SIDE))
        for centre in (20, 44):
            picture[((x - centre - shift[0]) / 9) ** 2 + ((y - 28 - shift[1]) / 18) ** 2 < 1] = 60
        picture[((x - 38) / 9) ** 2 + ((y - 42) / 8) ** 2 < 1] = 210
        picture[:8] = 40
        found[n] = np.clip(picture * grey + random.normal(0, 8, picture.shape), 0, 255)
    return found


def test_with_every_component_the_distance_is_scipys_mahalanobis() -> None:
    random = np.random.default_rng(0)
    train = random.normal(size=(400, 6)) @ random.normal(size=(6, 6)) + 3
    fitted = fit_distance(train, components=6)
    inverse = np.linalg.inv(np.cov(train.T))
    for point in random.normal(size=(5, 6)) * 4:
        expected = mahalanobis(point, train.mean(0), inverse) ** 2
        assert fitted.apply(point[None])[0] == pytest.approx(expected, rel=1e-3)


def test_a_direction_that_no_training_image_used_counts() -> None:
    """Along the components the stranger is as the first training image; across them it is far."""
    random = np.random.default_rng(1)
    train = random.normal(size=(300, 3)) @ random.normal(size=(3, 20)) + random.normal(size=(300, 20)) * 0.01
    fitted = fit_distance(train, components=3)
    across = random.normal(size=20)
    across -= across @ fitted.components.T @ fitted.components
    stranger = train[:1] + 3 * fitted.spread * across / np.linalg.norm(across)
    assert fitted.apply(stranger)[0] > 10 * fitted.apply(train).max()


def test_the_distance_by_hand() -> None:
    """4 / 4 along the one component, and (9 + 16) / 0.25 across it."""
    zeros, ones = np.zeros(3, np.float32), np.ones(3, np.float32)
    component, variance = np.array([[1, 0, 0]], np.float32), np.array([4], np.float32)
    distance = FeatureDistance(zeros, ones, component, variance, 0.25)
    assert distance.apply(np.array([[2.0, 3.0, 4.0]]))[0] == pytest.approx(101)


def test_the_variances_are_eigenvalues_of_the_correlations_and_the_rest_is_their_mean() -> None:
    random = np.random.default_rng(12)
    train = random.normal(size=(200, 6)) @ random.normal(size=(6, 6)) * 7 + 3
    fitted = fit_distance(train, components=2)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(train.T))[::-1]
    np.testing.assert_allclose(fitted.variances, eigenvalues[:2], rtol=1e-5)
    assert fitted.rest == pytest.approx(eigenvalues[2:].mean())


def test_features_that_never_vary_are_no_division_by_zero() -> None:
    fitted = fit_distance(np.ones((30, 5)), 4)
    assert fitted.apply(np.ones((1, 5)))[0] == 0
    assert fitted.apply(np.zeros((1, 5)))[0] > 1e6


def test_every_wrong_look_is_named_and_upright_ones_pass() -> None:
    random = np.random.default_rng(2)
    rule = fit_orientation(_chests(random, 80))
    for look, shown in enumerate(turned(_chests(random, 20))):
        assert set(rule.apply(standardised_thumbnails(shown)).argmax(1)) == {look}, LOOKS[look]


def test_the_looks_are_what_their_names_say() -> None:
    image = np.zeros((1, SIDE, SIDE), np.uint8)
    image[0, :10, 20:40] = 255  # at the head
    _, anticlockwise, half, clockwise, _ = turned(image)
    assert anticlockwise[0, SIDE - 40 : SIDE - 20, :10].all()  # the head points left
    assert half[0, -10:].any()
    assert clockwise[0, 20:40, -10:].all()


def test_inverting_leaves_the_black_bars_of_a_fitted_picture() -> None:
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[:, 10:50] = 200
    found = inverted(image)
    assert (found[:, :10] == 0).all()
    assert (found[:, 10:50] == 55).all()
    assert (inverted(np.zeros((4, 4), np.uint8)) == 0).all()


def test_thumbnails_do_not_see_brightness_or_contrast() -> None:
    picture = _chests(np.random.default_rng(3), 1)
    softer = (picture.astype(float) * 0.5 + 40).astype(np.uint8)
    np.testing.assert_allclose(standardised_thumbnails(picture), standardised_thumbnails(softer), atol=0.05)


@pytest.mark.parametrize(
    ("n", "rate", "accepted"), [(999, 0.01, 990), (199, 0.005, 199), (188, 0.01, 187), (50, 0.005, 50), (99, 0.1, 90)]
)
def test_the_threshold_is_the_conformal_order_statistic(n: int, rate: float, accepted: int) -> None:
    """By hand: the k nearest to (n + 1)(1 - rate), at most n; a further image falls beyond it with (n + 1 - k) / (n + 1)."""
    assert conformal_rank(n, rate) == accepted


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_the_asked_rate_of_false_refusals_is_kept_over_fresh_draws(rate: float) -> None:
    """Images like the training ones: the mean share refused is the asked rate, within three standard errors over the draws.

    59 calibration images allow both rates exactly: (n + 1 - k) / (n + 1) with k = 57 and 48. The other two checks refuse no
    more than asked either.
    """
    random = np.random.default_rng(4)
    train = _noise(random, 60)
    refused = []
    for _ in range(25):
        rule = fit_ood_detector(train, _noise(random, 59), rate)
        assert rule is not None
        assert rule.false_refusals >= rate
        pixels, features = _noise(random, 150)
        verdicts, scores = rule.judge(pixels, features)
        far = [any(r.startswith("unlike the training images") for r in v.reasons) for v in verdicts]
        np.testing.assert_array_equal(scores, rule.ood_score(pixels, features))
        np.testing.assert_array_equal(far, scores > 1)
        assert {v.verdict for v, f in zip(verdicts, far, strict=True) if f} <= {"refused"}
        blurred = np.mean([any(r.startswith("blurred") for r in v.reasons) for v in verdicts])
        refused.append((np.mean(far), blurred))
    far_share, blurred_share = np.mean(refused, axis=0)
    error = np.std([share for share, _ in refused]) / math.sqrt(len(refused))
    assert error < 0.02
    assert abs(far_share - rate) < 3 * error
    assert blurred_share <= rate


def _noise(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Exchangeable pictures (n, 16, 16) and features (n, 4)."""
    return random.integers(0, 256, (count, 16, 16)).astype(np.uint8), random.normal(size=(count, 4))


def test_the_score_is_the_geometric_mean_of_both_distances_and_thresholds_are_order_statistics() -> None:
    """With 30 calibration images and a rate of 0.1 the 28th accepted is the last: (31 - 28) / 31 is nearest to the rate."""
    random = np.random.default_rng(11)
    train, calibrate, (pixels, features) = _noise(random, 40), _noise(random, 30), _noise(random, 5)
    rule = fit_ood_detector(train, calibrate, 0.1)
    assert rule is not None
    far, wide = fit_distance(train[1], 32), fit_distance(standardised_thumbnails(train[0]), 16)
    by_hand = np.sqrt(far.apply(features) * wide.apply(standardised_thumbnails(pixels)))
    np.testing.assert_allclose(rule.ood_score(pixels, features), by_hand / rule.ood_threshold, rtol=1e-12)
    of_calibrate = np.sqrt(far.apply(calibrate[1]) * wide.apply(standardised_thumbnails(calibrate[0])))
    assert rule.ood_threshold == pytest.approx(np.sort(of_calibrate)[27])
    assert rule.least_sharp == pytest.approx(0.8 * np.sort(sharpness(calibrate[0]))[2])
    assert rule.least_upright == np.clip(
        np.sort(rule.orientation.apply(standardised_thumbnails(calibrate[0]))[:, 0])[2], 0.5, 0.8
    )
    verdicts, scores = rule.judge(*calibrate)
    assert np.sort(scores)[27] == 1.0
    unlike = [any(r.startswith("unlike") for r in v.reasons) for v in verdicts]
    assert sum(unlike) == 2  # the image on the threshold itself is accepted


def test_strangers_are_refused_with_their_reason_and_others_accepted() -> None:
    random = np.random.default_rng(5)
    rule = fit_ood_detector(
        (_chests(random, 100), random.normal(size=(100, 8))), (_chests(random, 60), random.normal(size=(60, 8))), 0.05
    )
    assert rule is not None
    assert (rule.n_train, rule.n_calibrate) == (100, 60)
    upright, half = _chests(random, 1), _chests(random, 1)[:, ::-1, ::-1]
    (fine, upside_down, far), _ = rule.judge(
        np.concatenate([upright, half, upright]), np.concatenate([np.zeros((2, 8)), np.full((1, 8), 20.0)])
    )
    assert (fine.verdict, fine.reasons) == ("accepted", ())
    assert upside_down.verdict == far.verdict == "refused"
    assert upside_down.reasons[-1].endswith("looks rotated by 180 degrees")
    assert [reason.split(":")[0] for reason in far.reasons] == ["unlike the training images"]


@pytest.mark.parametrize(
    ("far", "said"),
    [
        (1.001, "hardly farther from them than"),
        (1.0499, "hardly farther from them than"),
        (1.051, "1.1 times as far from them as"),
        (12.74, "12.7 times as far from them as"),
    ],
)
def test_how_far_is_never_told_as_what_is_accepted_itself(far: float, said: str) -> None:
    assert how_far(far) == said


def test_too_few_calibration_images_give_no_rule() -> None:
    random = np.random.default_rng(6)
    few = (_chests(random, LEAST_IMAGES - 1), random.normal(size=(LEAST_IMAGES - 1, 3)))
    assert fit_ood_detector((_chests(random, 30), random.normal(size=(30, 3))), few, 0.01) is None


def test_the_record_goes_through_json_to_the_bit_and_damage_is_refused() -> None:
    random = np.random.default_rng(7)
    pixels, features = _chests(random, 40), random.normal(size=(40, 5)).astype(np.float32)
    rule = fit_ood_detector((pixels, features), (pixels, features), 0.1)
    assert rule is not None
    again = OODDetector.from_dict(json.loads(json.dumps(rule.to_dict())))
    assert again.to_dict() == rule.to_dict()
    np.testing.assert_array_equal(again.features.apply(features), rule.features.apply(features))
    damages: list[dict[str, object]] = [{"farthest": None}, {"features": {}}, {"surplus": 1}]
    for damage in damages:
        plain = rule.to_dict() | damage
        if damage == {"farthest": None}:
            del plain["farthest"]
        with pytest.raises(ArtifactError, match="cannot be read"):
            OODDetector.from_dict(plain)
    with pytest.raises(ArtifactError, match="threshold of the acceptance rule is not finite"):
        OODDetector.from_dict(rule.to_dict() | {"farthest": None})
    torn = rule.to_dict()
    torn["orientation"]["bias"]["float32"] = "AAAA"
    with pytest.raises(ArtifactError, match="cannot be read"):
        OODDetector.from_dict(torn)


def test_sharpness_by_hand_and_blind_to_brightness_and_contrast() -> None:
    """A checkerboard: every pixel lies one full step from its neighbours' mean, which is two deviations of the picture."""
    board = (np.indices((32, 32)).sum(0) % 2 * 200).astype(np.uint8)[None]
    assert sharpness(board)[0] == pytest.approx(2)
    assert sharpness(board // 2 + 40)[0] == pytest.approx(2)
    assert sharpness(np.full((1, 32, 32), 90, np.uint8))[0] == 0


def test_sharpness_is_of_the_middle_three_quarters_by_hand() -> None:
    """Stripes one pixel wide: a pixel's neighbours are two of its own grey and two of the other, so it is half a step off their
    mean, which is the deviation of the picture. What a frame of an eighth of each side holds changes nothing.
    """
    stripes = np.tile(np.arange(32) % 2 * 200, (32, 1)).astype(np.uint8)
    assert sharpness(stripes[None])[0] == pytest.approx(1)
    for frame in (np.zeros((32, 32)), np.indices((32, 32)).sum(0) % 2 * 255):
        framed = stripes.copy()
        outside = np.ones((32, 32), bool)
        outside[3:29, 3:29] = False  # the middle three quarters, and the neighbours of its outermost pixels
        framed[outside] = frame[outside]
        assert sharpness(framed[None])[0] == pytest.approx(1)
    framed[4, :] = 0  # a row of the middle itself counts
    assert abs(sharpness(framed[None])[0] - 1) > 1e-3


def test_a_blurred_picture_is_refused_and_a_slightly_soft_one_is_not() -> None:
    random = np.random.default_rng(10)
    features = random.normal(size=(160, 4))
    rule = fit_ood_detector((_chests(random, 100), features[:100]), (_chests(random, 60), features[100:]), 0.02)
    assert rule is not None
    sharp = _chests(random, 1)
    soft, blurred = (gaussian_filter(sharp.astype(float), (0, s, s)).astype(np.uint8) for s in (0.15, 2.0))
    assert sharpness(blurred)[0] < rule.least_sharp < sharpness(soft)[0]
    (verdict,), _ = rule.judge(blurred, np.zeros((1, 4)))
    assert verdict.verdict == "refused"
    assert any("blurred" in reason for reason in verdict.reasons)


def test_arrays_are_little_endian_float32_in_base64_by_hand() -> None:
    one, plain = np.array([1.0], np.float32), {"shape": [1], "float32": "AACAPw=="}  # 00 00 80 3f
    distance = FeatureDistance(one, one, one[None], one, 0.25)
    assert distance.to_dict() == {
        "mean": plain, "spread": plain, "components": {"shape": [1, 1], "float32": "AACAPw=="}, "variances": plain, "rest": 0.25
    }  # fmt: skip
    again = FeatureDistance.from_dict(distance.to_dict())
    assert (again.rest, again.components.shape, str(again.components.dtype)) == (0.25, (1, 1), "float32")
    with pytest.raises(ArtifactError, match="is not finite"):
        FeatureDistance.from_dict(distance.to_dict() | {"mean": {"shape": [1], "float32": "AACAfw=="}})  # infinity


def test_an_image_that_looks_turned_is_refused_even_if_some_calibration_image_looks_worse() -> None:
    """The stated rate then counts that calibration image: (1 + 1) / (60 + 1)."""
    random = np.random.default_rng(9)
    calibrate = _chests(random, 60)
    calibrate[0] = calibrate[0, ::-1, ::-1]
    features = random.normal(size=(60, 4))
    rule = fit_ood_detector((_chests(random, 100), random.normal(size=(100, 4))), (calibrate, features), 0.005)
    assert rule is not None
    assert rule.least_upright == 0.5
    assert rule.false_refusals == pytest.approx(2 / 61)
    (verdict,), _ = rule.judge(_chests(random, 1)[:, ::-1, ::-1], np.zeros((1, 4)))
    assert verdict.verdict == "refused"


def test_an_image_has_the_same_distance_and_look_to_the_bit_whatever_others_it_comes_with() -> None:
    random = np.random.default_rng(3)
    distance = fit_distance(random.normal(size=(300, 512)), 64)
    vectors = random.normal(size=(64, 512)).astype(np.float32)
    alone = np.concatenate([distance.apply(one[None]) for one in vectors])
    assert (distance.apply(vectors) == alone).all()
    orientation = Orientation(random.normal(size=(5, 256)).astype(np.float32), random.normal(size=5).astype(np.float32))
    small = random.normal(size=(64, 256))
    assert (orientation.apply(small) == np.concatenate([orientation.apply(one[None]) for one in small])).all()
