"""The randomisation test: the likeness of maps by other means, and models that must and must not pass."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cxreader import torch_setup  # noqa: F401

# isort: split
import torch
from torch import Tensor, nn

from cxreader.errors import DataError
from cxreader.evaluation.statistics.intervals import Estimate, Sample
from cxreader.explanation.gradcam import grad_cam
from cxreader.explanation.sanity import randomisation_test
from cxreader.explanation.sanity_report import SanityReport, SanityStage, rank_correlation, sanity_report, ssim
from cxreader.models.registry import create_model
from cxreader.models.stages import StagedModel


def _sample(n: int) -> Sample:
    return Sample(np.arange(n) % 2, np.arange(n))


def _images(n: int = 6, side: int = 64) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(2))


def _slow_ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Wang et al. 2004, equations 14 to 16 and 13, window by window."""
    place = np.arange(11) - 5
    kernel = np.exp(-(place[:, None] ** 2 + place**2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    found = []
    for y in range(one.shape[0] - 10):
        for x in range(one.shape[1] - 10):
            a, b = one[y : y + 11, x : x + 11], other[y : y + 11, x : x + 11]
            ma, mb = (kernel * a).sum(), (kernel * b).sum()
            va, vb = (kernel * (a - ma) ** 2).sum(), (kernel * (b - mb) ** 2).sum()
            cov = (kernel * (a - ma) * (b - mb)).sum()
            top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
            found.append(top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    return float(np.mean(found))


def test_ssim_is_wangs_window_by_window() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random((20, 15)), rng.random((20, 15))
    assert ssim(one, other) == pytest.approx(_slow_ssim(one, other), abs=1e-12)
    near = np.clip(one + rng.normal(0, 0.05, one.shape), 0, 1)
    assert ssim(one, near) == pytest.approx(_slow_ssim(one, near), abs=1e-12)
    assert ssim(one, one) == pytest.approx(1)
    with pytest.raises(DataError, match="no SSIM"):
        ssim(one[:10], other[:10])


def test_ssim_of_two_constants_has_a_closed_form() -> None:
    a, b = np.full((12, 12), 0.2), np.full((12, 12), 0.6)
    assert ssim(a, b) == pytest.approx((2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4))


def test_rank_correlation_by_hand() -> None:
    one = np.array([[1.0, 2], [3, 4]])
    assert rank_correlation(one, one**3) == pytest.approx(1)
    assert rank_correlation(one, -one + 5) == pytest.approx(-1)
    # Ranks 1 2 3 4 and 1 2.5 2.5 4: covariance 4.5, sums of squares 5 and 4.5.
    assert rank_correlation(one, np.array([[0.0, 1], [1, 2]])) == pytest.approx(4.5 / np.sqrt(5 * 4.5))
    assert np.isnan(rank_correlation(one, np.zeros((2, 2))))
    assert np.isnan(rank_correlation(np.ones((2, 2)), one))


def test_flat_maps_are_counted_and_left_out_of_the_mean() -> None:
    ramp = np.arange(16.0).reshape(4, 4)
    own = np.stack([ramp, ramp, np.zeros((4, 4)), ramp])
    now = np.stack([ramp, ramp[::-1, ::-1], ramp, np.zeros((4, 4))])
    found = sanity_report(own, [("head", now)], _sample(4), n_resamples=100)
    assert (found.images, found.flat, found.stages[0].flat) == (4, 1, 1)
    assert found.stages[0].rank_correlation.value == pytest.approx(0)  # 1 and -1; two are undefined
    only_flat = sanity_report(np.zeros((2, 4, 4)), [("head", own[:2])], _sample(2), n_resamples=20)
    assert only_flat.verdict == "undefined"
    assert only_flat.stages[0].ssim.reason == "the model's own map is flat in every image"
    vanished = sanity_report(own[:2], [("head", np.zeros((2, 4, 4)))], _sample(2), n_resamples=20)
    assert vanished.verdict == "sensitive"
    assert np.isnan(vanished.stages[0].rank_correlation.value)
    assert vanished.stages[0].ssim.value < 0.2


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.5, "insensitive"), (0.499, "sensitive"), (float("nan"), "sensitive")]
)
def test_the_verdict_changes_at_one_half(value: float, verdict: str) -> None:
    """Half itself is too like; a map that is flat for random weights in every image has changed as much as it can."""
    estimate = Estimate(value, 0.0, 1.0, 2, 2, 4, "by hand")
    alike = Estimate(0.9, 0.0, 1.0, 2, 2, 4, "by hand")
    assert SanityReport((SanityStage("stem", estimate, alike, 0),), 4, 0, 64, 0).verdict == verdict


def test_maps_that_do_not_fit_are_refused() -> None:
    maps = np.ones((2, 4, 4))
    for own, stages, n in ((maps, [("head", maps[:1])], 2), (maps, [], 2), (maps, [("head", maps)], 3)):
        with pytest.raises(DataError, match="maps of shapes"):
            sanity_report(own, stages, _sample(n))


def _trained_like(name: str) -> StagedModel:
    """Not trained, but with statistics of its own and weights that random ones do not equal."""
    torch.manual_seed({"resnet18": 0, "chestxray_cnn": 1}[name])  # with it the maps of abnormal are above 0
    model = create_model(name, size=64)
    with torch.no_grad():
        model.train()
        model(_images(8))
    return model.eval()


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("chestxray_cnn", ["head", "pool", "last_block", "block2", "block1"]),
        ("resnet18", ["head", "last_block", "layer3", "layer2", "layer1", "stem"]),
    ],
)
def test_stages_become_random_from_the_head_on_and_the_model_stays(name: str, stages: list[str]) -> None:
    model, x = _trained_like(name), _images()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(11)
    drawn = torch.rand(3)
    torch.manual_seed(11)
    seen: list[tuple[int, int]] = []
    found = randomisation_test(model, x, _sample(6), seed=4, n_resamples=100, progress=lambda *at: seen.append(at))
    torch.testing.assert_close(torch.rand(3), drawn)  # the global generator is where it was
    assert [s.stage for s in found.stages] == stages
    assert found.flat == 0
    assert seen[-1] == (len(stages), len(stages))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    again = randomisation_test(model, x, _sample(6), seed=4, n_resamples=100)
    assert again.to_dict() == found.to_dict()
    assert randomisation_test(model, x, _sample(6), seed=5, n_resamples=100).to_dict() != found.to_dict()


def test_one_stage_alone_is_what_a_fresh_head_gives() -> None:
    """The first stage's figure, with the head drawn here by the layer itself."""
    model, x = _trained_like("resnet18"), _images()
    own = grad_cam(model, x)[1].numpy()
    found = randomisation_test(model, x, _sample(6), seed=0, n_resamples=20)
    torch.manual_seed(1)
    model.head.reset_parameters()
    now = grad_cam(model, x)[1].numpy()
    alone = sanity_report(own, [("head", now)], _sample(6), n_resamples=20)
    assert found.stages[0].rank_correlation == alone.stages[0].rank_correlation
    assert found.stages[0].ssim == alone.stages[0].ssim


class _Blind(nn.Linear):
    """A head with weights that change nothing: abnormal is the sum of what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        total = x.sum(dim=1)
        return torch.stack([-total, total], dim=1)


def test_a_map_that_does_not_depend_on_the_weights_is_noticed() -> None:
    stages = [
        ("last_block", nn.AvgPool2d(8)),
        ("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())),
        ("drop", nn.Dropout(0.0)),
        ("head", _Blind(3, 2)),
    ]
    x = _images().abs()
    found = randomisation_test(StagedModel(stages), x, _sample(6), n_resamples=50)
    assert [s.stage for s in found.stages] == ["head"]
    assert found.stages[0].rank_correlation.value == pytest.approx(1)
    assert found.stages[0].ssim.value == pytest.approx(1)
    assert found.verdict == "insensitive"
    assert "do not read them as its reasons" in found.statement()


def test_a_map_made_by_the_weights_passes() -> None:
    """The channel that the head asks for shows one side of the image; random heads ask for other channels."""
    torch.manual_seed(3)
    conv = nn.Conv2d(3, 8, 1, bias=False)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    head = nn.Linear(8, 2)
    with torch.no_grad():
        conv.weight.copy_(torch.randn(8, 3, 1, 1) * 3)
        head.weight.copy_(torch.randn(2, 8) * 3)
    model = StagedModel(
        [
            ("last_block", nn.Sequential(conv, nn.ReLU(), nn.AvgPool2d(8))),
            ("pool", pool),
            ("drop", nn.Dropout(0)),
            ("head", head),
        ]
    )
    reports = [
        randomisation_test(model, _images(12), _sample(12), seed=seed, n_resamples=200) for seed in range(0, 30, 10)
    ]
    assert [r.verdict for r in reports] == ["sensitive"] * 3


class _Bare(nn.Module):
    """A head whose weights no reset_parameters() draws."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(8.0).reshape(2, 4) - 3)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


def test_bare_parameters_keep_their_values_in_another_order() -> None:
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    conv = nn.Conv2d(3, 4, 8, stride=8)
    model = StagedModel([("last_block", conv), ("pool", pool), ("drop", nn.Dropout(0.0)), ("head", _Bare())])
    heads: list[Tensor] = []
    model.head.register_forward_hook(lambda head, *_: heads.append(head.weight.detach().clone()))
    drawn = torch.get_rng_state()
    found = randomisation_test(model, _images(), _sample(6), n_resamples=20)
    assert [stage.stage for stage in found.stages] == ["head", "last_block"]
    own, first, *rest = heads
    assert torch.equal(own, _Bare().weight)
    assert not torch.equal(first, own)
    assert torch.equal(first.flatten().sort().values, own.flatten().sort().values)
    assert all(torch.equal(head, first) for head in rest)
    assert torch.equal(torch.get_rng_state(), drawn)


def test_the_report_comes_back_from_json_exactly() -> None:
    found = randomisation_test(_trained_like("chestxray_cnn"), _images(4), _sample(4), n_resamples=50)
    text = json.dumps(found.to_dict(), allow_nan=False)
    again = SanityReport.from_dict(json.loads(text))
    assert json.dumps(again.to_dict(), allow_nan=False) == text
    assert again.stages[0].ssim == found.stages[0].ssim
    assert found.flat < found.images
    assert again.verdict == found.verdict
