import csv
import json
import re

import numpy as np
import pytest

from gvvad_jax import detectors, records
from gvvad_jax.features import captioner, sentences, video
from gvvad_jax.inference import clips
from gvvad_jax.video import decode
from tests.features import bert_folder, git_folder
from tests.inference import fake
from tests.reports.test_page import Balanced
from tests.video.clips import make_sound

OPTIONS = video.Options(crops="tiles", tiles=(2, 1), motion=("differences",))


@pytest.fixture(autouse=True)
def cheap_encoder(monkeypatch):
    fake.use(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A clip, its features, and a bundle of a detector that only sees, with that detector."""
    root = tmp_path_factory.mktemp("own")
    path = fake.clip(root / "yard #1.mp4")
    found = video.features(path, fake.Encoder(), OPTIONS)
    identity = OPTIONS.identity(fake.Encoder())
    return path, found, identity, fake.bundle(root / "bundle", found, identity), root / "bundle"


def wanted(detector, found, text=None):
    """Frame scores as `detectors.scores` gives them."""
    visual = np.swapaxes(found.visual, 0, 1)[None].astype(np.float32)
    scores = detectors.scores(detector, visual, text)[0]
    return np.repeat(scores, 16)[: found.info.num_frames], scores[-1]


def test_every_file_holds_the_detectors_scores(made, tmp_path):
    path, found, _, detector, bundle = made
    said = []
    summary = clips.score([path], bundle, tmp_path, say=said.append)
    assert (summary.done, summary.failed, summary.status) == (("yard #1",), (), 0)
    scores, last = wanted(detector, found)
    with np.load(tmp_path / "scores.npz") as file:
        assert sorted(file.files) == ["crops/yard #1", "scores/yard #1"]
        ours, crops = file["scores/yard #1"], file["crops/yard #1"]
    assert ours.shape == (50,) and ours.dtype == np.float32 and crops.shape == (3,) and crops.dtype == np.int16
    np.testing.assert_allclose(ours[:48], scores, atol=1e-6)
    np.testing.assert_allclose(ours[48:], last, atol=1e-6)  # the tail belongs to the last snippet
    with open(tmp_path / "yard #1" / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["frame", "second", "score"] and [int(row["frame"]) for row in rows] == list(range(50))
    np.testing.assert_allclose([float(row["second"]) for row in rows], np.arange(50) / 12.5, atol=1e-3)
    np.testing.assert_allclose([float(row["score"]) for row in rows], ours, atol=1e-6)
    assert (tmp_path / "yard #1" / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert len(said) == 1 and f"{ours.max():.3f} at frame {ours.argmax()}" in said[0] and "index.html" in said[0]
    assert not (tmp_path / "errors.jsonl").exists()


def test_the_page_plays_the_clips_own_frames_evenly(made, tmp_path):
    path, _, _, _, bundle = made
    clips.score([path], bundle, tmp_path)
    text = (tmp_path / "yard #1" / "index.html").read_text()
    parser = Balanced()
    parser.feed(text)
    assert parser.open == [] and '<video src="clip.mp4"' in text and 'data-frames="50"' in text
    assert all((tmp_path / "yard #1" / target).exists() for target in parser.targets if target and target[0] != "#")
    assert not re.search(r'(src|href)="(https?:)?//', text)
    copy, source = (decode.frames(tmp_path / "yard #1" / "clip.mp4"), decode.frames(path))
    assert len(copy) == 50 and copy.shape[1] % 2 == 0 and copy.shape[2] % 2 == 0
    np.testing.assert_allclose(copy.mean((1, 2, 3)), source.mean((1, 2, 3)), atol=4)
    assert decode.probe(tmp_path / "yard #1" / "clip.mp4").fps == 12.5
    clips.score([path], bundle, tmp_path, players=False)
    assert not (tmp_path / "yard #1" / "clip.mp4").exists()
    assert "<video src" not in (tmp_path / "yard #1" / "index.html").read_text()


def test_a_video_that_fails_is_one_sentence_and_the_rest_goes_on(made, tmp_path, capsys):
    path, _, _, _, bundle = made
    bad = {"cut.mp4": path.read_bytes()[:2000], "text.mp4": b"no video at all", "empty.mp4": b""}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    make_sound(tmp_path / "sound.m4a")
    videos = [*(tmp_path / name for name in bad), tmp_path / "sound.m4a", tmp_path / "absent.mp4", path]
    summary = clips.score(videos, bundle, tmp_path / "out")
    assert summary.done == ("yard #1",) and summary.status == 1
    rows = records.read_jsonl(tmp_path / "out" / "errors.jsonl")
    assert [row["id"] for row in rows] == ["cut", "text", "empty", "sound.m4a", "absent"] == list(summary.failed)
    for row, video_path in zip(rows, videos, strict=False):
        assert str(video_path) in row["error"] and row["error"].endswith("."), row
        assert not (tmp_path / "out" / row["id"]).exists()
    assert capsys.readouterr().err.count("\n") == 5
    assert sorted(np.load(tmp_path / "out" / "scores.npz").files) == ["crops/yard #1", "scores/yard #1"]


def test_what_an_earlier_run_left_does_not_pass_for_this_ones(made, tmp_path):
    path, _, _, _, bundle = made
    (tmp_path / "clip.mp4").write_bytes(path.read_bytes())
    clips.score([tmp_path / "clip.mp4"], bundle, tmp_path / "out", players=False)
    assert (tmp_path / "out" / "clip" / "index.html").exists()
    (tmp_path / "clip.mp4").write_bytes(path.read_bytes()[:1000])
    assert clips.score([tmp_path / "clip.mp4"], bundle, tmp_path / "out").failed == ("clip",)
    assert not (tmp_path / "out" / "clip" / "index.html").exists() and not (tmp_path / "out" / "scores.npz").exists()


def test_a_folder_of_pictures_is_a_video_without_seconds(made, tmp_path):
    from PIL import Image

    path, found, _, detector, bundle = made
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, frame in enumerate(decode.frames(path)[:33]):
        Image.fromarray(frame).save(folder / f"{number:03d}.png")
    clips.score([folder], bundle, tmp_path / "out")
    lines = (tmp_path / "out" / "pictures" / "scores.csv").read_text().splitlines()
    assert len(lines) == 34 and lines[1].startswith("0,,0.")
    assert decode.probe(tmp_path / "out" / "pictures" / "clip.mp4").num_frames == 33


def test_two_videos_of_one_id_and_none_are_refused(made, tmp_path):
    with pytest.raises(ValueError, match=r"two videos with one id, a/x.mp4 and b/x.avi"):
        clips.name(["a/x.mp4", "b/x.avi"])
    with pytest.raises(ValueError, match="no video is named"):
        clips.name([])


def change(bundle, to, **extraction):
    """A copy of a bundle that names another extraction; None drops a field."""
    to.mkdir()
    (to / "model.safetensors").write_bytes((bundle / "model.safetensors").read_bytes())
    config = json.loads((bundle / "config.json").read_text())
    found = config["extraction"] | extraction
    config["extraction"] = {key: value for key, value in found.items() if value is not None}
    (to / "config.json").write_text(json.dumps(config))
    return to


@pytest.mark.parametrize(
    ("extraction", "sentence"),
    [
        ({"weights_sha256": "def"}, "trained with weights_sha256 def, but the encoder at hand has abc"),
        ({"preprocessing": "x / 255"}, "trained with preprocessing x / 255, but the encoder at hand has None"),
        ({"name": "i3d-kinetics"}, "features of 'i3d-kinetics', an encoder that this version does not run"),
        ({"name": None}, "does not say how its features were made"),
        ({"crops": None}, "does not say how its features were made"),
        ({"motion": ["speed"]}, "does not say how its features were made"),
    ],
)
def test_an_encoder_that_differs_or_is_absent_is_refused(made, tmp_path, extraction, sentence):
    path, _, _, _, bundle = made
    with pytest.raises(ValueError, match=re.escape(sentence)):
        clips.score([path], change(bundle, tmp_path / "other", **extraction), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_bundle_is_one_sentence(made, tmp_path):
    with pytest.raises(FileNotFoundError, match="absent is no bundle: it needs config.json and model.safetensors"):
        clips.score([made[0]], tmp_path / "absent", tmp_path / "out")


@pytest.fixture(scope="module")
def reading(made, tmp_path_factory):
    """A bundle whose detector reads sentence vectors of a small BERT."""
    root = tmp_path_factory.mktemp("text")
    weights = bert_folder.make(root / "small-bert")
    encoder = sentences.create(weights)
    _, found, identity, _, _ = made
    identity = identity | {"sentence_encoder": encoder.identity}
    detector = fake.bundle(root / "bundle", found, identity, "tevad", text=encoder.width)
    return root / "bundle", detector, encoder, weights


def test_a_detector_that_reads_text_scores_with_captions(made, reading, tmp_path):
    path, found = made[:2]
    bundle, detector, encoder, weights = reading
    texts = ["a man walks", "a man falls", "a car burns", "the street is empty"]
    (tmp_path / "captions.jsonl").write_text(json.dumps({"yard #1": texts}))
    captions = tmp_path / "captions.jsonl"
    summary = clips.score([path], bundle, tmp_path / "out", captions=captions, text_weights=weights)
    assert summary.status == 0
    scores, _ = wanted(detector, found, encoder(texts)[None])
    np.testing.assert_allclose(np.load(tmp_path / "out" / "scores.npz")["scores/yard #1"][:48], scores, atol=1e-5)


def test_a_captioner_writes_what_a_detector_reads(made, reading, tmp_path):
    path, found = made[:2]
    bundle, detector, encoder, weights = reading
    folder = git_folder.make(tmp_path / "git")
    summary = clips.score([path], bundle, tmp_path / "out", caption_weights=folder, text_weights=weights)
    assert summary.status == 0
    with decode.Decoder() as decoder:
        texts = clips._written(captioner.Captioner(folder), "yard #1", path, decoder)
    assert len(texts) == 4
    scores, _ = wanted(detector, found, encoder(texts)[None])
    np.testing.assert_allclose(np.load(tmp_path / "out" / "scores.npz")["scores/yard #1"][:48], scores, atol=1e-5)
    with pytest.raises(ValueError, match="not both"):
        clips.score([path], bundle, tmp_path / "o", captions="c", caption_weights=folder, text_weights=weights)


def test_captions_of_a_set_are_found_by_the_end_of_a_path():
    texts = {"test/normal/yard": ["a"], "test/gate": ["b"], "old/gate": ["c"], "gate2": ["d"]}
    found = [clips._captions(texts, id) for id in ("yard", "gate2", "ard", "none")]
    assert found == [["a"], ["d"], None, None]
    with pytest.raises(ValueError, match="test/gate and old/gate; name one of them gate"):
        clips._captions(texts, "gate")


def test_a_detector_that_reads_text_without_captions_names_the_visual_way(made, reading, tmp_path):
    with pytest.raises(ValueError, match=r"reads text: give --captions=FILE.jsonl, or .*--config.detector=rtfm"):
        clips.score([made[0]], reading[0], tmp_path / "out")


def test_captions_of_another_encoder_length_or_video_are_refused(made, reading, tmp_path):
    bundle, _, _, weights = reading
    captions = tmp_path / "captions.jsonl"
    captions.write_text('{"other": ["a man"]}')
    other = bert_folder.make(tmp_path / "small-bert", seed=1)
    with pytest.raises(ValueError, match=r"trained with weights_sha256 .*\(--text_weights\)"):
        clips.score([made[0]], bundle, tmp_path / "out", captions=captions, text_weights=other)
    summary = clips.score([made[0]], bundle, tmp_path / "out", captions=captions, text_weights=weights)
    assert summary.failed == ("yard #1",)
    captions.write_text('{"yard #1": ["a man"]}')
    clips.score([made[0]], bundle, tmp_path / "out", captions=captions, text_weights=weights)
    error = records.read_jsonl(tmp_path / "out" / "errors.jsonl")[0]["error"]
    assert error.startswith("yard #1: 1 sentences, but 50 frames make 4 windows")
