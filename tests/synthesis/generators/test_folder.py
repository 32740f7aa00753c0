"""Clips of another service: found by the description's id, kept as they are or encoded once."""

import numpy as np
import pytest
from PIL import Image

from gvvad_jax import records
from gvvad_jax.synthesis import generators
from gvvad_jax.synthesis.generators import folder
from gvvad_jax.video import decode, encode
from tests.synthesis.generators import clips


def generate(tmp_path, **options):
    given = {"root": tmp_path / "clips"} | options
    return generators.generate(tmp_path / "d.jsonl", "folder", tmp_path / "set", generators.Options(**given))


def test_an_mp4_is_kept_byte_for_byte_with_what_the_description_says(tmp_path):
    clips.descriptions(tmp_path / "d.jsonl", "a1", "n1")
    clips.mp4s(tmp_path / "clips", "a1", "n1")
    assert generate(tmp_path).status == 0
    anomalous, normal = records.reader(tmp_path / "set")
    assert anomalous.video == (tmp_path / "clips" / "a1.mp4").read_bytes()
    assert (anomalous.label, anomalous.category, anomalous.intervals) == (1, "Fire", None)
    assert (normal.label, normal.category, normal.intervals) == (0, "Normal", [])
    assert (normal.synthetic, normal.split, normal.num_frames, normal.fps) == (1, "train", 20, 8.0)
    assert (normal.height, normal.width) == (34, 48)
    assert normal.source == {
        "generator": "folder",
        "settings": {"file": "n1.mp4"},
        "seed": None,
        "description_id": "n1",
        "pair_id": "1",
        "text": "The text of n1.",
    }


def test_a_gif_and_a_folder_of_pictures_are_encoded(tmp_path):
    clips.descriptions(tmp_path / "d.jsonl", "a1", "n1")
    root = tmp_path / "clips"
    (root / "n1").mkdir(parents=True)
    smooth = np.repeat(np.arange(20, dtype=np.uint8)[:, None, None, None] * 9, 3, -1) + np.zeros(
        (20, 33, 48, 3), np.uint8
    )
    clips.gif(root / "a1.gif", smooth)
    for number, image in enumerate(smooth):
        Image.fromarray(image).save(root / "n1" / f"{number:03d}.png")
    assert generate(tmp_path).status == 0
    gif, pictures = records.reader(tmp_path / "set")
    assert (gif.fps, gif.num_frames, gif.height, gif.width) == (10.0, 20, 34, 48)
    assert (pictures.fps, pictures.notes) == (8.0, ("n1: no frame rate known, 8 a second assumed",))
    for video in (gif, pictures):
        found = decode.frames(video.video)
        assert found.shape == (20, 34, 48, 3)
        assert np.abs(found[:, :33].astype(int) - smooth).mean() < 4


def test_a_missing_and_a_broken_clip_are_lines_and_the_next_run_tries_them_alone(tmp_path, monkeypatch):
    clips.descriptions(tmp_path / "d.jsonl", "a1", "a2", "n1")
    root = clips.mp4s(tmp_path / "clips", "a1")
    (root / "n1.mp4").write_bytes(b"no video at all")
    summary = generate(tmp_path)
    assert (summary.status, summary.made, summary.failed) == (1, 1, ("a2", "n1"))
    rows = {row["id"]: row["error"] for row in records.read_jsonl(tmp_path / "set" / "errors.jsonl")}
    assert "no clip" in rows["a2"] and "run the same command again" in rows["a2"] and "n1.mp4" in rows["n1"]
    clips.mp4s(root, "a2", "n1")
    tried = []
    call = folder.Maker.__call__
    monkeypatch.setattr(folder.Maker, "__call__", lambda self, d: tried.append(d.id) or call(self, d))
    summary = generate(tmp_path)
    assert (summary.status, summary.made, summary.there, tried) == (0, 2, 1, ["a2", "n1"])
    assert len(records.reader(tmp_path / "set")) == 3 and not (tmp_path / "set" / "errors.jsonl").exists()
    assert generate(tmp_path).there == 3


def test_clips_without_a_description_are_left_out_with_a_warning(tmp_path, caplog):
    clips.descriptions(tmp_path / "d.jsonl", "a1")
    clips.mp4s(tmp_path / "clips", "a1", "other")
    assert generate(tmp_path).made == 1
    assert "1 clips" in caplog.text and "such as other" in caplog.text


def test_two_clips_of_one_description_are_refused_and_both_named(tmp_path):
    clips.descriptions(tmp_path / "d.jsonl", "a1")
    root = clips.mp4s(tmp_path / "clips", "a1")
    clips.gif(root / "a1.gif", clips.frames())
    with pytest.raises(ValueError, match=r"a1: two clips, .*a1\.(gif|mp4) and .*a1\.(gif|mp4); keep one"):
        generate(tmp_path)
    assert not (tmp_path / "set").exists()


def test_a_folder_that_holds_none_of_them_and_flags_that_do_not_fit_are_refused(tmp_path):
    clips.descriptions(tmp_path / "d.jsonl", "a1")
    clips.mp4s(tmp_path / "clips", "other")
    with pytest.raises(OSError, match="no clip under .* has a description's id as its name, such as a1.mp4"):
        generate(tmp_path)
    with pytest.raises(OSError, match="no folder"):
        generate(tmp_path, root=tmp_path / "absent")
    with pytest.raises(ValueError, match="needs --root"):
        generate(tmp_path, root=None)
    with pytest.raises(ValueError, match="--weights does not go with"):
        generate(tmp_path, weights=tmp_path)
    assert not (tmp_path / "set").exists()


def test_a_clip_too_large_to_be_encoded_here_is_named(tmp_path, monkeypatch):
    clips.descriptions(tmp_path / "d.jsonl", "a1", "n1")
    root = clips.mp4s(tmp_path / "clips", "n1")
    clips.gif(root / "a1.gif", clips.frames())
    monkeypatch.setattr(folder, "MOST_BYTES", 1000)
    assert generate(tmp_path).failed == ("a1",)
    assert "encode it as .mp4" in (tmp_path / "set" / "errors.jsonl").read_text()


def test_the_released_samples_become_a_set(tmp_path, shared):
    clips.descriptions(tmp_path / "d.jsonl", "303", "n999")
    summary = generate(tmp_path, root=shared / "data" / "gvvad_samples" / "clips")
    assert (summary.made, summary.failed) == (1, ("n999",))
    (video,) = records.reader(tmp_path / "set")
    assert (video.num_frames, video.fps, video.height, video.width) == (60, 10.0, 214, 320)
    assert encode.mp4(decode.frames(video.video), video.fps)
