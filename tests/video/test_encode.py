import hashlib

import numpy as np
import pytest

from gvvad_jax.video import decode, encode
from tests.video import clips


def test_the_same_frames_give_the_same_bytes():
    rng = np.random.default_rng(0)
    frames = np.clip(np.cumsum(rng.normal(0, 3, (40, 48, 64, 3)), axis=0) + 128, 0, 255).astype(np.uint8)
    assert len({hashlib.sha256(encode.mp4(frames, fps=12.5)).hexdigest() for _ in range(4)}) == 1


@pytest.mark.parametrize("num_frames", [1, 2, 15, 33])
@pytest.mark.parametrize("size", [(48, 64), (47, 63), (1, 1), (16, 17)])
def test_a_round_trip_keeps_count_rate_and_pictures(decoder, num_frames, size):
    frames = np.stack([clips.picture(i, *size) for i in range(num_frames)])
    snippets = list(decoder.snippets(encode.mp4(frames, fps=12.5), keep="all"))
    decoded = np.concatenate([s.frames for s in snippets])
    assert decoder.info.num_frames == len(decoded) == num_frames
    assert decoder.info.notes == ()
    assert decoder.info.fps == 12.5
    assert decoded.shape[1:3] == tuple(side + side % 2 for side in size)
    assert np.abs(decoded[:, : size[0], : size[1]].astype(int) - frames).mean() < 6


def test_colours_come_back(decoder):
    for colour in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (10, 200, 90)]:
        frames = np.full((3, 32, 32, 3), colour, np.uint8)
        (snippet,) = decoder.snippets(encode.mp4(frames))
        assert np.abs(snippet.frames.astype(int) - colour).max() <= 4


def test_write_leaves_one_file(tmp_path):
    encode.write(tmp_path / "a.mp4", np.zeros((3, 16, 16, 3), np.uint8), fps=10)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert decode.probe(tmp_path / "a.mp4").num_frames == 3
    assert (tmp_path / "a.mp4").read_bytes() == encode.mp4(np.zeros((3, 16, 16, 3), np.uint8))


@pytest.mark.parametrize(("shape", "fps"), [((0, 16, 16, 3), 10), ((2, 0, 16, 3), 10), ((2, 16, 16, 3), 0)])
def test_what_is_no_video_is_refused(shape, fps):
    with pytest.raises(ValueError, match="cannot become a video"):
        encode.mp4(np.zeros(shape, np.uint8), fps)
