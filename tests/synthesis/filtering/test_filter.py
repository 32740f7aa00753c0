"""The filter separates: good rendered clips stay, planted defects go, on seeds whose limits were fixed on others."""

import csv
import dataclasses

import numpy as np
import pytest
from PIL import Image, ImageSequence

from configs import filter as config
from gvvad_jax import records
from gvvad_jax.synthesis.filtering import clips, rule, selecting
from gvvad_jax.video import encode
from tests.synthesis.filtering import planted


def default_rule(name="thresholds"):
    asked = config.get_config().filter
    return rule.Rule(name, asked.limits.to_dict(), asked.rates.to_dict(), asked.weights.to_dict())


@pytest.fixture(scope="module")
def filtered(tmp_path_factory):
    """Good clips of seeds 5 and 6 with each defect planted in one of a seed, and a mark in all."""
    folder, random, made = tmp_path_factory.mktemp("filtered"), np.random.default_rng(5), []
    for seed in (5, 6):
        good = list(planted.good(seed, 2, 24, ("real", "synthetic")[seed % 2]))
        made += [*good[:-1], planted.wrong_event(good[-1])]
        made += planted.defects(good[:1], random, sorted({*planted.DEFECTS} - {"marked"}))
        made += planted.defects(good, random, ["marked"])  # a mark is one that several clips carry
    made.append(dataclasses.replace(made[0], id="cut", video=made[0].video[:900]))
    videos = planted.write(folder / "set", made)
    return selecting.select(videos, folder / "out" / "selection.jsonl", default_rule())


def test_good_clips_stay_and_every_kind_of_planted_defect_goes(filtered):
    rows = {row["id"]: row for row in filtered.rows}
    kinds = {id: id.rpartition("-")[2] if "-" in id else "good" for id in rows if id != "cut"}
    kept = {id for id, row in rows.items() if row["keep"]}
    # A wrong event is another clip's description over sound pixels: kept, and said not to be checked.
    assert {id for id, kind in kinds.items() if kind in ("good", "wrong")} == kept
    expected = {"frozen": "frozen", "black": "dark", "shaken": "jitter", "blurred": "sharpness", "burnt": "burnt"}
    for id, kind in kinds.items():
        if kind in expected:
            assert rows[id]["checks"][expected[kind]] == "failed", id
        if kind == "marked":
            assert "failed" in (rows[id]["checks"]["overlay_alone"], rows[id]["checks"]["overlay_shared"])
        if kind == "duplicate":
            assert rows[id]["duplicate_of"] == id.removesuffix("-duplicate")


def test_without_a_model_a_wrong_event_is_not_checked(filtered):
    assert {row["wrong_event"] for row in filtered.rows} == {"not checked"}
    assert any("wrong event: not checked" in line for line in filtered.lines)


def test_a_file_that_cannot_be_read_is_dropped_and_named(filtered):
    ((id, reason),) = filtered.failed
    (row,) = [row for row in filtered.rows if row["id"] == "cut"]
    assert id == "cut" and "cannot be read" in reason and not row["keep"] and row["reasons"] == [reason]


def test_the_selection_reads_back_and_the_page_shows_every_dropped_clip(filtered):
    chosen = records.read_selection(filtered.out)
    assert len(chosen.rows) == len(filtered.rows) and chosen.ids == {r["id"] for r in filtered.rows if r["keep"]}
    text = selecting.page_of(filtered.out).read_text().replace("<wbr>", "")
    for row in filtered.rows:
        assert row["id"] in text
    assert "not checked" in text and text.count("data:image/jpeg") == len(filtered.rows) - 1
    assert "http" not in text.replace("http://www.w3.org", "")


def test_order_of_the_clips_is_that_of_the_set(filtered):
    ids = [row["id"] for row in filtered.rows]
    assert ids == sorted(ids)


class Colour:
    """Tells apart what is drawn by how many pixels change: anomalous clips hold something large and fast."""

    scale = 100.0

    def encode_images(self, pictures):
        moved = np.abs(np.diff(pictures.astype(np.float32), axis=0)).max((1, 2, 3))
        return np.tile(np.array([[moved.max() > 0, 0.5]], np.float32), (len(pictures), 1))

    def encode_texts(self, sentences):
        return np.array([[1, 0.5] if "event" in s else [0, 0.5] for s in sentences], np.float32)


def test_with_a_model_a_clip_whose_pictures_fit_the_paired_text_better_is_a_wrong_event(tmp_path):
    random = np.random.default_rng(0)
    moving = random.integers(0, 255, (8, 16, 16, 3), np.uint8).repeat(15, 1).repeat(20, 2)
    made = [
        records.Video(
            id=id,
            label=label,
            synthetic=1,
            split="train",
            num_frames=8,
            height=240,
            width=320,
            video=encode.mp4(moving),
            source={"pair_id": "p" + id[0], "text": text},
        )
        for id, label, text in (
            ("a1", 1, "an event"),
            ("a2", 0, "a street"),
        )
    ]
    rows = selecting.select(
        planted.write(tmp_path / "s", made), tmp_path / "o.jsonl", default_rule(), model=Colour()
    ).rows
    assert rows[0]["measures"]["margin"] > 0 > rows[1]["measures"]["margin"]
    assert rows[1]["wrong_event"] == "failed" and rows[0]["checks"]["margin"] == "passed"


def test_a_long_video_is_measured_on_evenly_spaced_snippets(tmp_path):
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (700, 3, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    made = records.Video(
        id="long", label=0, synthetic=1, split="train", num_frames=700, height=24, width=32, video=encode.mp4(frames)
    )
    ((_, clip),) = clips.read(planted.write(tmp_path / "s", [made]))
    assert isinstance(clip, clips.Clip) and clip.num_frames == 700
    assert len(clip.luma) <= 16 * clips.MAX_SNIPPETS and 0 < (~clip.joins).sum() < clips.MAX_SNIPPETS
    assert len(clip.pictures) == clips.PICTURES


def test_the_mark_of_the_released_clips_is_caught(shared, tmp_path):
    folder = shared / "data" / "gvvad_samples"
    made = []
    for row in csv.DictReader((folder / "clips.csv").open()):
        with Image.open(folder / row["file"]) as image:
            frames = np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)][::6])
        made.append(
            records.Video(
                id=row["id"],
                label=int(row["label"]),
                synthetic=1,
                split="train",
                num_frames=len(frames),
                height=214,
                width=320,
                video=encode.mp4(frames),
            )
        )
    rows = selecting.select(planted.write(tmp_path / "s", made), tmp_path / "o.jsonl", default_rule()).rows
    assert len(rows) == 16
    for row in rows:
        assert "failed" in (row["checks"]["overlay_alone"], row["checks"]["overlay_shared"]), row["id"]
        assert {row["checks"][name] for name in ("frozen", "activity", "sharpness", "dark", "burnt")} == {"passed"}


def test_a_set_of_another_kind_and_absent_scores_are_refused_before_any_decoding(tmp_path, filtered):
    with records.writer(tmp_path / "empty", "video", 1):
        pass
    with pytest.raises(ValueError, match="holds no video"):
        selecting.select(records.reader(tmp_path / "empty"), tmp_path / "o.jsonl", default_rule())
    videos = records.reader(filtered.out.parent.parent / "set")
    with pytest.raises(FileNotFoundError, match="scores.npz"):
        selecting.select(videos, tmp_path / "o.jsonl", default_rule(), scores=tmp_path / "scores.npz")
    assert not (tmp_path / "o.jsonl").exists()
