"""Fréchet distance and MMD against their definitions in float64."""

import numpy as np
import pytest
import scipy.linalg

from gvvad_jax import records
from gvvad_jax.synthesis.filtering import gap


def samples(seed, n, width=5, shift=0.0):
    random = np.random.default_rng(seed)
    return random.normal(shift, 1.0, (n, width)) @ random.normal(0, 1, (width, width))


def test_frechet_equals_the_definition_by_matrix_square_roots():
    x, y = samples(0, 40), samples(1, 30, shift=0.5)
    first, second = np.cov(x.T), np.cov(y.T)
    wanted = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(
        first + second - 2 * scipy.linalg.sqrtm(first @ second).real
    )
    assert gap.frechet(x, y) == pytest.approx(wanted, rel=1e-9)


def test_frechet_of_one_set_is_zero_and_of_a_moved_one_its_squared_shift():
    x = samples(0, 40)
    assert gap.frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert gap.frechet(x, x + np.array([3.0, 4.0, 0, 0, 0])) == pytest.approx(25)


def test_mmd_equals_the_sums_over_pairs():
    x, y = samples(2, 7), samples(3, 5, shift=1.0)

    def kernel(a, b):
        return np.exp(-((a - b) ** 2).sum() / (2 * 2.0**2))

    within = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    other = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    across = np.mean([kernel(a, b) for a in x for b in y])
    assert gap.mmd2(x, y, 2.0) == pytest.approx(within + other - 2 * across, rel=1e-12)


def test_mmd_averages_zero_where_both_sets_are_of_one_kind():
    values = [
        gap.mmd2(np.random.default_rng(s).normal(size=(20, 3)), np.random.default_rng(s + 99).normal(size=(20, 3)), 1.0)
        for s in range(60)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


def feature(id, label, synthetic, vector, split="train"):
    visual = np.repeat(vector[None, None].astype(np.float32), 2, 0)
    return records.Feature(
        id=id,
        dataset="scenes",
        split=split,
        label=label,
        synthetic=synthetic,
        num_frames=32,
        snippet_frames=16,
        visual=visual,
    )


def test_dropping_what_lies_far_from_the_real_clips_narrows_the_gap_of_its_class(tmp_path):
    random = np.random.default_rng(0)
    rows = []
    with records.writer(tmp_path / "set", "feature", 1) as writer:
        for i in range(30):
            writer.add(feature(f"real{i}", 1, 0, random.normal(size=8)))
            far = i % 2 * 6.0
            writer.add(feature(f"made{i}", 1, 1, random.normal(size=8) + far))
            rows.append({"id": f"made{i}", "keep": not far})
    found, notes = gap.measure([str(tmp_path / "set")], rows)
    own = found["anomalous"]
    assert (own["real"], own["before"], own["after"]) == (30, 30, 15)
    assert (
        own["frechet"]["after"] < 0.3 * own["frechet"]["before"] and own["mmd2"]["after"] < 0.3 * own["mmd2"]["before"]
    )
    assert len(notes) == 1 and "normal" in notes[0]


def test_a_gap_where_real_clips_never_vary_is_seen(tmp_path):
    random = np.random.default_rng(0)
    rows = []
    with records.writer(tmp_path / "set", "feature", 1) as writer:
        for i in range(12):
            writer.add(feature(f"real{i}", 1, 0, np.r_[random.normal(size=4), 0]))
            writer.add(feature(f"made{i}", 1, 1, np.r_[random.normal(size=4), 9.0 * (i % 2)]))
            rows.append({"id": f"made{i}", "keep": i % 2 == 0})
    own = gap.measure([str(tmp_path / "set")], rows)[0]["anomalous"]
    assert own["components"] == 5  # six are kept: a covariance of rank five
    assert own["frechet"]["before"] > 10 > own["frechet"]["after"]


def test_a_video_in_two_sets_is_refused(tmp_path):
    for name in ("a", "b"):
        with records.writer(tmp_path / name, "feature", 1) as writer:
            writer.add(feature("twice", 1, 0, np.zeros(3)))
    with pytest.raises(ValueError, match="twice is in"):
        gap.measure([str(tmp_path / "a"), str(tmp_path / "b")], [])


def test_sets_of_two_widths_are_refused(tmp_path):
    for name, width in (("a", 4), ("b", 5)):
        with records.writer(tmp_path / name, "feature", 1) as writer:
            writer.add(feature(name, 1, 0, np.zeros(width)))
    with pytest.raises(ValueError, match="widths"):
        gap.measure([str(tmp_path / "a"), str(tmp_path / "b")], [])
