import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gvvad_jax import datasets, records
from gvvad_jax.features import extraction, motion, video
from gvvad_jax.video import crops, decode, encode


class Tiny:
    """An encoder of 32-pixel crops: their mean colour and one number that knows where pixels are."""

    name, size, width, batch = "tiny", 32, 4, 3
    identity = {"name": "tiny", "weights_sha256": "0", "width": 4}

    def __init__(self, stop_after=None, error=KeyboardInterrupt, batch=3):
        self.images, self.stop_after, self.error, self.batch = 0, stop_after, error, batch

    def begin(self, images, /):
        found = self(images)
        return lambda: found

    def __call__(self, images, /):
        self.images += len(images)
        if self.stop_after is not None and self.images > self.stop_after:
            raise self.error("stopped by the test")
        ramp = np.linspace(-1, 1, 32, dtype=np.float32)
        rows = [
            np.append(image.mean((0, 1)), np.float32(image[..., 0].mean(0, dtype=np.float32) @ ramp))
            for image in images
        ]
        return np.array(rows, np.float32).reshape(-1, 4)


def frames(count, seed, height=36, width=50):
    """A square that moves over noise."""
    random = np.random.default_rng(seed)
    pixels = random.integers(60, 120, (count, height, width, 3), dtype=np.uint8)
    for t in range(count):
        pixels[t, 5:15, (3 * t) % 40 : (3 * t) % 40 + 8] = 250
    return pixels


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Six videos of 7 to 70 frames, one as a folder of pictures."""
    from PIL import Image

    root = tmp_path_factory.mktemp("videos")
    (root / "anomalous").mkdir()
    (root / "normal").mkdir()
    for i, count in enumerate([40, 16, 7, 70]):
        encode.mp4(frames(count, i), path=root / "anomalous" / f"a{i}.mp4")
    encode.mp4(frames(33, 9), path=root / "normal" / "n0.mp4")
    (root / "normal" / "pictures").mkdir()
    for t, frame in enumerate(frames(20, 11)):
        Image.fromarray(frame).save(root / "normal" / "pictures" / f"{t:03}.png")
    return root


def digests(path):
    """What says that two sets hold the same bytes."""
    manifest = json.loads((path / "manifest.json").read_text())
    return manifest["index"]["sha256"], [shard["sha256"] for shard in manifest["shards"]]


def run(root, out, encoder=None, options=None, entries=None, **more):
    entries = datasets.entries("folder", root) if entries is None else entries
    return extraction.extract(entries, encoder or Tiny(), options or video.Options(), out, **more)


def test_record_is_what_decoding_cropping_and_encoding_give(root, tmp_path):
    summary = run(root, tmp_path / "set", options=video.Options(crops="tiles", tiles=(3, 2), frames_per_snippet=2))
    assert (summary.made, summary.failed, summary.status, summary.frames) == (6, (), 0, 40 + 16 + 7 + 70 + 33 + 20)
    reader = records.reader(tmp_path / "set")
    assert reader.ids == [
        "anomalous/a0",
        "anomalous/a1",
        "anomalous/a2",
        "anomalous/a3",
        "normal/n0",
        "normal/pictures",
    ]
    record = reader.by_id("anomalous/a3")
    pixels = decode.frames(root / "anomalous" / "a3.mp4")
    plan = crops.plan("tiles", 36, 50, (3, 2), 32)
    assert record.visual.shape == (4, 6, 4) and record.visual.dtype == np.float16
    for t, (first, second) in enumerate([(4, 12), (20, 28), (36, 44), (53, 64)]):  # the last snippet has 22 frames
        views = crops.cut(crops.resize(pixels[[first, second]], plan), plan)
        expected = np.stack([Tiny(batch=1)(view) for view in views]).mean(0)
        np.testing.assert_allclose(record.visual[t], expected, rtol=1e-3, atol=1e-3)  # float16
    assert (record.label, record.split, record.dataset, record.synthetic) == (1, "train", "folder", 0)
    assert record.num_frames == 70 and record.fps == 10 and record.snippet_frames == 16
    assert record.crop_order == "tiles 3x2"
    np.testing.assert_array_equal(record.crop_boxes, plan.fractions)
    assert record.intervals is None and reader.by_id("normal/n0").intervals == []
    assert record.encoder["name"] == "tiny" and record.encoder["crops"] == "tiles 3x2"
    assert record.source == {"file": "a3.mp4"}


def test_motion_blocks_follow_in_the_order_named(root, tmp_path):
    options = video.Options(crops="five", motion=("image", "differences"))
    run(root, tmp_path / "set", options=options)
    record = records.reader(tmp_path / "set").by_id("normal/pictures")
    assert [block.name for block in record.blocks] == ["appearance", "image", "differences"]
    assert [block.start for block in record.blocks] == [0, 4, 8] and record.blocks[2].stop == record.visual.shape[2]
    plan = crops.plan("five", 36, 50, size=32)
    pixels = frames(20, 11)
    resized = crops.resize(pixels, plan)
    image, _ = motion.create("image", plan)(resized, None)
    np.testing.assert_allclose(record.visual[0, :, 4:8], Tiny()(image), rtol=1e-3, atol=1e-3)
    differences, _ = motion.create("differences", plan)(resized, None)
    np.testing.assert_allclose(record.visual[0, :, 8:], differences, rtol=1e-3)
    assert record.baseline_names == ("frame_difference", "tile_difference")
    expected = motion.baselines(pixels, None, plan)
    np.testing.assert_allclose(record.baselines, [list(expected.values())], rtol=1e-6)


def test_second_snippet_is_compared_with_the_last_frame_of_the_first(root, tmp_path):
    run(root, tmp_path / "set", options=video.Options(motion=("differences",)))
    record = records.reader(tmp_path / "set").by_id("anomalous/a0")
    pixels = decode.frames(root / "anomalous" / "a0.mp4")
    plan = crops.plan("centre", 36, 50, size=32)
    resized = crops.resize(pixels, plan)
    expected, _ = motion.create("differences", plan)(resized[16:], resized[15])
    np.testing.assert_allclose(record.visual[1, :, 4:], expected, rtol=1e-3)
    np.testing.assert_allclose(record.baselines[1], motion.baselines(pixels[16:], pixels[15], plan)["frame_difference"])


def test_one_video_gives_the_same_as_in_a_set(root, tmp_path):
    options = video.Options(crops="ten", motion=("differences",))
    run(root, tmp_path / "set", options=options)
    path = root / "anomalous" / "a0.mp4"
    for source in (path, path.read_bytes()):
        single = video.features(source, Tiny(batch=7), options)
        np.testing.assert_array_equal(single.visual, records.reader(tmp_path / "set").by_id("anomalous/a0").visual)
    assert single.info.num_frames == 40


def test_set_does_not_depend_on_workers_or_batch(root, tmp_path):
    run(root, tmp_path / "one", workers=1)
    run(root, tmp_path / "three", Tiny(batch=64), workers=3)
    assert digests(tmp_path / "one") == digests(tmp_path / "three")


@pytest.mark.parametrize("stop_after", [1, 6, 9])
def test_interrupted_run_goes_on_to_the_identical_set(root, tmp_path, stop_after):
    run(root, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(root, tmp_path / "set", Tiny(stop_after))
    assert not (tmp_path / "set" / "manifest.json").exists()
    kept = len(list((tmp_path / "set" / ".unfinished").glob("*.safetensors")))
    again = Tiny()
    summary = run(root, tmp_path / "set", again)
    assert (summary.there, summary.made) == (kept, 6 - kept)
    assert digests(tmp_path / "set") == digests(tmp_path / "whole")


def test_other_options_are_refused_by_name(root, tmp_path):
    run(root, tmp_path / "set")
    before = digests(tmp_path / "set")
    with pytest.raises(ValueError, match=r"begun with other options: crops \('centre' before, 'ten' now\); give"):
        run(root, tmp_path / "set", options=video.Options(crops="ten"))
    with pytest.raises(ValueError, match=r"frames_per_snippet \(1 before, 4 now\), motion \('' before, 'image' now\)"):
        run(root, tmp_path / "set", options=video.Options(frames_per_snippet=4, motion=("image",)))
    assert digests(tmp_path / "set") == before


def test_bad_videos_are_lines_and_the_rest_goes_on(tmp_path, capsys):
    root, out = tmp_path / "videos", tmp_path / "set"
    root.mkdir()
    for i in range(3):
        encode.mp4(frames(20, i, height=37, width=51), path=root / f"good{i}.mp4")  # odd sizes
    data = (root / "good0.mp4").read_bytes()
    (root / "cut.mp4").write_bytes(data[: len(data) // 2])
    (root / "empty.mp4").write_bytes(b"")
    (root / "text.mp4").write_text("no video at all")
    summary = run(root, out)
    assert (summary.made, set(summary.failed), summary.status) == (3, {"cut", "empty", "text"}, 1)
    lines = records.read_jsonl(out / "errors.jsonl")
    assert sorted(line["id"] for line in lines) == ["cut", "empty", "text"]
    assert all(line["id"] in line["error"] for line in lines)
    said = capsys.readouterr().err
    assert all(f"{line['id']}: {line['error']}" in said for line in lines)
    assert records.reader(out).ids == ["good0", "good1", "good2"]

    # On the finished set only what failed is tried: a changed good video is not read again, a new one not added.
    encode.mp4(frames(18, 5), path=root / "cut.mp4")
    (root / "good1.mp4").write_bytes(b"")
    encode.mp4(frames(18, 6), path=root / "new.mp4")
    (root / "text.mp4").unlink()
    summary = run(root, out)
    assert (summary.there, summary.made, summary.failed, summary.status) == (3, 1, ("empty",), 1)
    assert summary.later == 1 and "1 are not in this finished set" in str(summary)
    assert [line["id"] for line in records.read_jsonl(out / "errors.jsonl")] == ["empty"]
    assert records.reader(out).ids == ["cut", "good0", "good1", "good2"]
    (root / "empty.mp4").unlink()
    assert run(root, out).status == 0
    assert not (out / "errors.jsonl").exists()


def test_set_of_only_bad_videos_stays_unfinished(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "bad.mp4").write_bytes(b"")
    assert run(tmp_path / "videos", tmp_path / "set").status == 1
    with pytest.raises(FileNotFoundError, match="unfinished"):
        records.reader(tmp_path / "set")
    encode.mp4(frames(18, 5), path=tmp_path / "videos" / "bad.mp4")
    assert run(tmp_path / "videos", tmp_path / "set").status == 0
    assert records.reader(tmp_path / "set").ids == ["bad"]


def test_not_finite_features_are_refused(root, tmp_path):
    class Broken(Tiny):
        def __call__(self, images, /):
            return super().__call__(images) * np.float32(1e4)  # past float16

    summary = run(root, tmp_path / "set", Broken())
    assert len(summary.failed) == 6
    assert "are NaN or infinite" in records.read_jsonl(tmp_path / "set" / "errors.jsonl")[0]["error"]


def test_intervals_are_clipped_with_a_note_or_refused_with_both_numbers(root, tmp_path):
    a0, a1, _, a3, n0, _ = datasets.entries("folder", root)
    entries = [
        replace(a0, intervals=((5, 20), (30, 42)), num_frames=44, fps=25.0),
        replace(a1, intervals=((5, 60),)),
        replace(a3, intervals=((5, 20),), num_frames=35),  # the published video at twice its frame rate
        replace(n0, num_frames=66),  # no interval to misplace
    ]
    summary = run(root, tmp_path / "set", entries=entries)
    record = records.reader(tmp_path / "set").by_id("anomalous/a0")
    assert record.intervals == [(5, 20), (30, 40)] and record.fps == 25
    assert any("clipped to the video's 40 frames" in note for note in record.notes)
    assert "anomalous/a0: 40 frames decoded, but 44 as published" in record.notes
    record = records.reader(tmp_path / "set").by_id("normal/n0")
    assert record.notes == ("normal/n0: 33 frames decoded, but 66 as published",)
    assert set(summary.failed) == {"anomalous/a1", "anomalous/a3"}
    errors = {row["id"]: row["error"] for row in records.read_jsonl(tmp_path / "set" / "errors.jsonl")}
    assert "ends at frame 60" in errors["anomalous/a1"] and "16 frames" in errors["anomalous/a1"]
    assert "anomalous/a3: 70 frames decoded, but 35 as published; its intervals" in errors["anomalous/a3"]


def test_video_sets_are_extracted_too(root, tmp_path):
    data = (root / "anomalous" / "a0.mp4").read_bytes()
    with records.writer(tmp_path / "clips", "video") as writer:
        for id, blob in (("a", data), ("b", data[:100])):
            writer.add(
                records.Video(
                    id=id,
                    label=1,
                    synthetic=1,
                    category="Fighting",
                    split="train",
                    source={"generator": "test"},
                    fps=8.0,
                    num_frames=40,
                    height=36,
                    width=50,
                    video=blob,
                    intervals=[(3, 9)],
                )  # fmt: skip
            )
    summary = run(None, tmp_path / "set", entries=records.reader(tmp_path / "clips"), dataset="ucf")
    assert summary.failed == ("b",)
    record = records.reader(tmp_path / "set").by_id("a")
    assert (record.dataset, record.synthetic, record.category, record.label) == ("ucf", 1, "Fighting", 1)
    assert record.intervals == [(3, 9)] and record.source == {"generator": "test"} and record.fps == 8
    with pytest.raises(ValueError, match="is a feature set, but features are made of a video set"):
        run(None, tmp_path / "again", entries=records.reader(tmp_path / "set"))


def test_a_decoders_limits_are_the_callers(root, tmp_path):
    made = []

    def decoder():
        made.append(decode.Decoder(memory_bytes=1 << 30, timeout_seconds=30))
        return made[-1]

    assert run(root, tmp_path / "set", workers=2, decoder=decoder).status == 0
    assert len(made) == 2
    out = tmp_path / "refused"
    assert run(root, out, decoder=lambda: decode.Decoder(memory_bytes=16 << 20)).status == 1
    assert "memory_bytes is 16,777,216" in records.read_jsonl(out / "errors.jsonl")[0]["error"]


def test_a_bug_ends_the_run_and_its_threads(root, tmp_path):
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="stopped by the test"):
        run(root, tmp_path / "set", Tiny(stop_after=5, error=RuntimeError))
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(crops="nine"), "crops='nine' is not known"),
        (dict(crops="tiles", tiles=(0, 3)), "tiles=0x3"),
        (dict(motion=("speed",)), "motion='speed' is not known; choose among differences, flow, image"),
        (dict(motion=("flow", "flow")), "names a block twice"),
        (dict(frames_per_snippet=0), "frames_per_snippet=0; give 1 to 16"),
        (dict(frames_per_snippet=17), "frames_per_snippet=17; give 1 to 16"),
    ],
)
def test_wrong_options_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        video.Options(**options)


@pytest.mark.parametrize(
    "options",
    [
        video.Options(),
        video.Options(crops="tiles", tiles=(4, 2), motion=("flow", "differences"), frames_per_snippet=16),
    ],
)
def test_identity_gives_the_options_back(options):
    identity = json.loads(json.dumps(options.identity(Tiny())))
    assert replace(video.Options.of(identity), tiles=options.tiles) == options
    assert identity["crops"] in ("centre", "tiles 4x2")


def test_no_video_and_no_worker_are_refused(root, tmp_path):
    with pytest.raises(ValueError, match="no video to extract"):
        run(root, tmp_path / "set", entries=[])
    with pytest.raises(ValueError, match="workers=0"):
        run(root, tmp_path / "set", workers=0)
    assert not Path(tmp_path / "set").exists()
