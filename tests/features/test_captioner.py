import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from gvvad_jax import datasets, records
from gvvad_jax.features import captioner, captions, sentences
from gvvad_jax.models import git
from gvvad_jax.video import decode
from tests.features import bert_folder, git_folder
from tests.video import clips


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return git_folder.make(tmp_path_factory.mktemp("git") / "small-git")


@pytest.fixture(scope="module")
def writer(weights):
    return captioner.Captioner(weights)


@given(st.integers(1, 90), st.integers(1, 30), st.integers(1, 40))
@settings(deadline=None)
def test_windows_are_those_of_a_caption_file_and_their_frames_run_from_the_first_to_the_last(frames, window, stride):
    stream = (np.full((1, 1, 3), i, np.uint8) for i in range(frames))
    found = list(captioner.cut(stream, lambda frame: frame, 6, window, stride))
    assert [span for span, _ in found] == captions.windows(frames, window, stride)
    for (start, stop), images in found:
        assert images[:, 0, 0, 0].tolist() == captioner.evenly(start, stop, 6)
        assert (images[0, 0, 0, 0], images[-1, 0, 0, 0]) == (start, stop - 1)


def test_six_frames_lie_evenly_in_a_window_of_64():
    assert captioner.evenly(16, 80, 6) == [16, 28, 41, 54, 67, 79]
    assert captioner.evenly(0, 2, 6) == [0, 0, 0, 1, 1, 1]


def test_sentences_are_the_networks_whatever_the_batch_and_the_neighbours(writer, weights, tmp_path):
    files = [clips.make(tmp_path / f"{name}.mp4", frames) for name, frames in (("a", 40), ("b", 17))]
    (tmp_path / "c.mp4").write_bytes(files[0].read_bytes()[:700])
    videos = [(id, lambda id=id: tmp_path / f"{id}.mp4") for id in ("a", "c", "b")]
    with decode.Decoder() as decoder:
        found = list(captioner.sentences(writer, videos, decoder, 32, 16))
        assert [id for id, *_ in found] == ["a", "c", "b"]
        assert found[0][1] == [(0, 32), (16, 40), (32, 40)] and found[2][1] == [(0, 17), (16, 17)]
        assert isinstance(found[1][2], ValueError) and "c " in str(found[1][2])
        frames = [frame for snippet in decoder.snippets(files[0], keep="all") for frame in snippet.frames]
    model, pixels = git.load(weights), git.pixels(weights, 16)
    assert isinstance(found[0][2], list) and any(found[0][2])
    for (start, stop), text in zip(found[0][1], found[0][2], strict=True):
        taken = np.stack([pixels(frames[i]) for i in captioner.evenly(start, stop, 6)])
        assert writer.text(model.caption_ids(taken[None], max_length=12)[0]) == text


def test_text_leaves_out_special_tokens_and_what_follows_the_end(writer):
    ids = np.array([bert_folder.WORDS.index(word) for word in "[CLS] a man walks [PAD] . [SEP] street".split()])
    assert writer.text(ids) == "a man walks."
    assert writer.text(ids[:1]) == ""


def test_a_set_is_written_and_a_rerun_makes_what_lacks(writer, tmp_path):
    root = tmp_path / "videos"
    root.mkdir()
    clips.make(root / "a.mp4", 40)
    (root / "b.mp4").write_bytes(b"no video")
    encoder = sentences.create(bert_folder.make(tmp_path / "bert"))
    done = captioner.write(tmp_path / "text", encoder, writer, datasets.entries("folder", root))
    assert (done.made, done.sentences, done.failed) == (1, 3, ("b",))
    record = records.reader(tmp_path / "text").by_id("a")
    assert record.spans.tolist() == [[0, 40], [16, 40], [32, 40]] and len(record.sentences) == 3
    assert record.source["captioner"] == writer.identity
    np.testing.assert_array_equal(record.vectors, encoder(list(record.sentences)))
    clips.make(root / "b.mp4", 20)
    again = captioner.write(tmp_path / "text", encoder, writer, datasets.entries("folder", root))
    assert (again.made, again.there, again.failed) == (1, 1, ())
    with pytest.raises(ValueError, match="window"):
        captioner.write(tmp_path / "text", encoder, writer, datasets.entries("folder", root), window=32)


def test_clips_pixels_are_taken_where_asked_and_named_in_the_identity(writer, weights):
    asked = captioner.Captioner(weights, has_clip_pixels=True)
    assert writer.identity["pixels"]["resample"] == 2 and asked.identity["pixels"]["resample"] == 3
    assert writer.identity["pixels"]["mean"] == [0.5] * 3 and asked.identity["pixels"]["mean"][0] == 0.48145466


def test_weights_that_are_not_finite_are_refused(tmp_path):
    folder = git_folder.make(tmp_path / "git")
    arrays = safetensors.numpy.load_file(folder / "model.safetensors")
    arrays["output.bias"][3] = np.nan
    safetensors.numpy.save_file(arrays, folder / "model.safetensors")
    with pytest.raises(ValueError, match="its weights hold NaN or infinite values"):
        captioner.Captioner(folder)


def test_a_folder_without_a_fitting_tokenizer_is_refused(tmp_path):
    folder = git_folder.make(tmp_path / "git")
    (folder / "vocab.txt").write_text("\n".join([*bert_folder.WORDS, "more"]))
    with pytest.raises(ValueError, match="do not belong together"):
        captioner.Captioner(folder)
    (folder / "vocab.txt").unlink()
    with pytest.raises(FileNotFoundError, match="holds no tokenizer"):
        captioner.Captioner(folder)
