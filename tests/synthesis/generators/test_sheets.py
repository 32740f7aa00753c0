"""Preview sheets: a row a clip, one a shard, drawn again only where clips came."""

import numpy as np
import pytest
from PIL import Image

from gvvad_jax import records
from gvvad_jax.synthesis.generators import sheets
from gvvad_jax.video import encode
from tests.synthesis.generators import clips


@pytest.fixture
def video_set(tmp_path):
    with records.writer(tmp_path / "set", "video", shards=2) as writer:
        for number, (video, count) in enumerate([(encode.mp4(clips.frames()), 20), (b"no video", 1), (None, 40)]):
            video = video or encode.mp4(clips.frames(count=40))
            record = dict(label=1, synthetic=1, split="train", num_frames=count, height=34, width=48, video=video)
            writer.add(records.Video(id=f"clip {number}", source={"text": "дым " * 200}, **record))
    return tmp_path / "set"


def test_a_sheet_a_shard_has_a_row_a_clip_whatever_its_video_is(video_set):
    sheets.write(video_set, again=False)
    pictures = [np.asarray(Image.open(sheets.path_of(video_set, n))) for n in (0, 1)]
    assert not sheets.path_of(video_set, 2).exists()
    row = sheets.HEIGHT + sheets.GAP
    assert [picture.shape[0] for picture in pictures] == [sheets.GAP + row, sheets.GAP + 2 * row]
    left = sheets.SHOWN * sheets.WIDTH
    frames = pictures[1][:, :left].reshape(len(pictures[1]), -1)
    assert (frames[sheets.GAP : row] == 255).all() and (frames[row + sheets.GAP :] < 255).any()
    assert all((picture[:, left:] < 128).any() for picture in pictures)  # words
    assert len(records.reader(video_set)) == 3 and not records.check(video_set)


def test_a_sheet_that_is_there_is_drawn_again_only_when_asked(video_set):
    sheets.write(video_set, again=False)
    for number in (0, 1):
        sheets.path_of(video_set, number).write_bytes(b"own")
    sheets.path_of(video_set, 1).unlink()
    sheets.write(video_set, again=False)
    assert sheets.path_of(video_set, 0).read_bytes() == b"own" != sheets.path_of(video_set, 1).read_bytes()
    sheets.write(video_set, again=True)
    assert sheets.path_of(video_set, 0).read_bytes() != b"own"


def test_a_sheet_ends_before_it_is_too_tall(video_set, monkeypatch):
    monkeypatch.setattr(sheets, "MOST", 1)
    sheets.write(video_set, again=False)
    assert Image.open(sheets.path_of(video_set, 1)).height == sheets.GAP + sheets.HEIGHT + sheets.GAP
