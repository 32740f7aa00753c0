"""Scores of released checkpoints, dropout off, to 1e-5."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install -e '.[test,parity]'")

from gvvad_jax import detectors  # noqa: E402
from tests.parity import cases  # noqa: E402

# Text rows less snippets: as long, one and four rows shorter, one longer.
SCORED = [
    (cases.Case("lap", "official", crops=5), 0),
    (cases.Case("lap", "gvvad", crops=10, fusion="add", text=32), -1),
    (cases.Case("lap", "official", crops=5, fusion="product"), -4),
    (cases.Case("lap", "gvvad", crops=10, fusion="add_up", text=32), 1),
    (cases.Case("lap", "paper", crops=10), -1),
    (cases.Case("lap", "official", crops=10), -4),
    (cases.Case("lap", "official", crops=5), 1),
    (cases.Case("tevad", "official", crops=10, fusion="add"), -1),
    (cases.Case("tevad", "gvvad", crops=5), -4),
    (cases.Case("tevad", "official", crops=10, text=32), 1),
    (cases.Case("tevad", "paper", crops=5, fusion="add_up"), 0),
    (cases.Case("rtfm", "official", crops=10), 0),
    (cases.Case("rtfm", "gvvad", crops=5), 0),
]


def reference(network, visual, text, dtype=torch.float64):
    with torch.no_grad():
        return network.to(dtype).eval()(*cases.tensors(visual, text, dtype=dtype)).scores.numpy()


@pytest.mark.parametrize(("case", "rows"), SCORED, ids=[f"{c}-text{r:+d}" for c, r in SCORED])
def test_scores_are_those_of_the_released_program(case, rows, tmp_path):
    network = case.network()
    detector = case.load(cases.save(network, tmp_path / "best.pkl"))
    visual, text = case.videos(snippets=23, text_rows=23 + rows, videos=1)
    ours = detectors.scores(detector, visual, text)
    assert ours.dtype == np.float32 and ours.shape == (1, 23)
    for dtype in (torch.float32, torch.float64):
        theirs = reference(network, visual, text, dtype)
        assert theirs.std() > 0.02
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5, err_msg=str(dtype))


@pytest.mark.parametrize("name", ["lap", "tevad", "rtfm"])
def test_padded_videos_score_as_each_does_alone(name, tmp_path):
    case = cases.Case(name, "official", crops=5)
    network = case.network()
    detector = case.load(cases.save(network, tmp_path / "best.pkl"))
    visual, text = case.videos(snippets=24, videos=4)
    lengths, rows = np.array([23, 20, 17, 9]), np.array([24, 19, 13, 9])
    for i, (length, row) in enumerate(zip(lengths, rows, strict=True)):
        visual[i, :, length:] = 1e3
        if text is not None:
            text[i, max(length, row) :] = -1e3

    def assert_each_as_alone(ours, rows):
        for i, (length, row) in enumerate(zip(lengths, rows, strict=True)):
            alone = reference(network, visual[i : i + 1, :, :length], None if text is None else text[i : i + 1, :row])
            np.testing.assert_allclose(ours[i, :length], alone[0], rtol=0, atol=1e-5, err_msg=f"video {i}")

    if text is not None:
        assert_each_as_alone(detectors.scores(detector, visual, text, lengths, rows), rows)
    # An array of text as long as the visual one has its lengths, where none are given.
    assert_each_as_alone(detectors.scores(detector, visual, text, lengths), lengths)


@pytest.mark.parametrize("name", ["lap", "rtfm"])
def test_full_width_scores(name, tmp_path):
    case = cases.Case(name, "official", crops=5, visual=2048 if name == "rtfm" else 768, text=768)
    network = case.network()
    detector = case.load(cases.save(network, tmp_path / "best.pkl"))
    visual, text = case.videos(snippets=40, text_rows=39, videos=1)
    np.testing.assert_allclose(
        detectors.scores(detector, visual, text), reference(network, visual, text), rtol=0, atol=1e-5
    )
