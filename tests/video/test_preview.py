import numpy as np

from gvvad_jax.video import decode, preview
from gvvad_jax.video.snippets import Snippet


def shown(num_frames, height, width):
    """Snippets whose frames grow brighter."""
    frames = np.arange(num_frames, dtype=np.uint8)[:, None, None, None] * 2 + np.zeros((1, height, width, 3), np.uint8)
    indices = np.arange(num_frames)
    return [Snippet(i, i + 8, indices[i : i + 8], frames[i : i + 8]) for i in range(0, num_frames, 8)]


def test_every_frame_is_there_in_order_and_even_in_time(tmp_path):
    preview.write(tmp_path / "a.mp4", shown(40, 50, 71), 12.5)
    copy = decode.frames(tmp_path / "a.mp4")
    assert copy.shape == (40, 50, 72, 3) and decode.probe(tmp_path / "a.mp4").fps == 12.5
    np.testing.assert_allclose(copy.mean((1, 2, 3)), np.arange(40) * 2, atol=3)


def test_large_frames_are_made_smaller_small_ones_are_not(tmp_path):
    preview.write(tmp_path / "a.mp4", shown(8, 101, 300), None, height=50)
    info = decode.probe(tmp_path / "a.mp4")
    assert (info.height, info.width, info.fps) == (50, 148, 25)
    preview.write(tmp_path / "a.mp4", shown(8, 7, 9), 10)
    assert decode.frames(tmp_path / "a.mp4").shape == (8, 8, 8, 3)
