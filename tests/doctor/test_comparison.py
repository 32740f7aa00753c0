import numpy as np
import pytest

from gvvad_jax import records
from gvvad_jax.doctor import comparison

CROPS, WIDTH = 10, 24


def made(path, change=lambda visual: visual, **fields):
    """Six videos of ten crops, smooth in time and all positive as real features are; `change` is what differs."""
    rng = np.random.default_rng(0)
    with records.writer(path, kind="feature", shards=1) as writer:
        for number in range(6):
            snippets = 20 + 3 * number
            walk = np.cumsum(rng.normal(size=(snippets, 1, WIDTH)) * 0.4, axis=0)
            visual = np.exp(walk + rng.normal(size=(1, CROPS, WIDTH)) * 0.5).astype(np.float32)
            visual = np.ascontiguousarray(change(visual), np.float32)
            given = {
                "id": f"v{number}", "dataset": "folder", "split": "test", "label": number % 2, "synthetic": 0,
                "num_frames": snippets * 16, "snippet_frames": 16, "visual": visual, "intervals": [],
            }  # fmt: skip
            writer.add(records.Feature(**(given | fields)))
    return path


def said(first, second):
    found = list(comparison.compare(first, second))
    return "\n".join(map(str, found)), any(f.problem for f in found)


@pytest.fixture
def base(tmp_path):
    return made(tmp_path / "base")


def test_equal_sets_differ_in_nothing(base, tmp_path):
    text, wrong = said(base, made(tmp_path / "other"))
    assert not wrong and "median 1.0000" in text


@pytest.mark.parametrize(
    "order, name", [((1, 2, 3, 4, 0, 6, 7, 8, 9, 5), "TenCrop"), ((5, 6, 7, 8, 9, 0, 1, 2, 3, 4), "mirrored")]
)
def test_another_crop_order_is_recognised(base, tmp_path, order, name):
    text, wrong = said(base, made(tmp_path / "other", lambda v: v[:, list(order)]))
    assert wrong and "crops lie in another order" in text and name in text and "median 1.0000" in text


def test_a_scale_is_told(base, tmp_path):
    text, wrong = said(base, made(tmp_path / "other", lambda v: 3 * v))
    assert wrong and "times 3" in text


def test_normalised_vectors_are_told(base, tmp_path):
    text, wrong = said(base, made(tmp_path / "other", lambda v: v / np.linalg.norm(v, axis=-1, keepdims=True)))
    assert wrong and "normalised to one length" in text


def test_a_shift_by_a_snippet_is_told(base, tmp_path):
    text, wrong = said(base, made(tmp_path / "other", lambda v: np.concatenate([v[:1], v[:-1]])))
    assert wrong and "1 snippet later" in text


def test_other_lengths_are_explained_by_a_rule(base, tmp_path):
    text, wrong = said(base, made(tmp_path / "other", lambda v: v[:-1]))
    assert wrong and "+1: 6 videos" in text and "dropped tail" in text


def test_a_mean_over_more_frames_looks_smoother_and_shorter(base, tmp_path):
    noise = np.random.default_rng(1)

    def rough(visual):
        return visual + noise.normal(size=visual.shape) * visual.std()

    text, _ = said(made(tmp_path / "rough", rough), base)
    assert "mean over more frames" in text and "frames_per_snippet" in text


def test_the_records_own_words_come_first(base, tmp_path):
    first = made(tmp_path / "one", encoder={"name": "clip", "frames_per_snippet": 1})
    second = made(tmp_path / "two", encoder={"name": "clip", "frames_per_snippet": 16, "resize": "256x256"})
    text, wrong = said(first, second)
    assert wrong and "frames_per_snippet 1 and 16" in text and "said by one set alone: resize" in text


def test_sets_without_a_common_video_or_shape_are_refused(base, tmp_path):
    other = made(tmp_path / "other", lambda v: v[:, :1])
    assert "10 crops of 24 columns" in said(base, other)[0]
    with records.writer(tmp_path / "text", kind="text", shards=1) as writer:
        writer.add(records.Text(id="v0", vectors=np.zeros((3, 4), np.float32)))
    with pytest.raises(ValueError, match="text records"):
        list(comparison.compare(base, tmp_path / "text"))


def test_blocks_that_both_have_are_compared_where_widths_differ(base, tmp_path):
    blocks = [records.Block("appearance", 0, WIDTH), records.Block("flow", WIDTH, WIDTH + 2)]
    first = made(tmp_path / "one", blocks=blocks[:1])
    second = made(tmp_path / "two", lambda v: np.concatenate([v, v[..., :2]], axis=-1), blocks=blocks)
    text, wrong = said(first, second)
    assert wrong and "blocks {'appearance': 24} and {'appearance': 24, 'flow': 2}" in text
    assert "appearance: cosine of equal snippets: median 1.0000" in text
