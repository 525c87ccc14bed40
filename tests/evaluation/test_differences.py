import numpy as np
import pytest
from scipy.stats import bootstrap

from sr_gan.evaluation.differences import difference
from sr_gan.evaluation.suite import Scores


def scores(values: np.ndarray) -> dict[str, Scores]:
    return {str(i): {"psnr_y": float(value)} for i, value in enumerate(values)}


def test_the_interval_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    hard = rng.normal(28, 3, 100)  # how hard each image is, which pairing removes
    ours, theirs = hard + rng.normal(0.02, 0.05, 100), hard
    found = difference(scores(ours), scores(theirs), "psnr_y")
    assert found
    apart = ours - theirs
    expected = bootstrap((apart,), np.mean, method="percentile", random_state=2).confidence_interval
    assert found.mean == pytest.approx(apart.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=6e-4)
    assert found.is_clear
    assert found.images == 100
    assert found == difference(scores(ours), scores(theirs), "psnr_y")
    back = difference(scores(theirs), scores(ours), "psnr_y")
    assert back
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low), abs=1e-3)


def test_an_interval_around_0_is_not_clear_and_a_score_that_lacks_is_left_out() -> None:
    ours = scores(np.array([1.0, -1.1, 0.9, -1.0]))
    theirs = scores(np.zeros(4))
    found = difference(ours, theirs, "psnr_y")
    assert found
    assert not found.is_clear
    ours["0"]["psnr_y"] = None
    found = difference(ours, theirs, "psnr_y")
    assert found
    assert found.images == 3
    for infinite in (ours, theirs):
        infinite["1"]["psnr_y"] = float("inf")
        found = difference(ours, theirs, "psnr_y")
        assert found
        assert found.images == 2
        assert np.isfinite([found.mean, found.low, found.high]).all()
    assert difference({"0": {"psnr_y": 1.0}}, theirs, "psnr_y") is None
    assert difference(ours, theirs, "lpips") is None
