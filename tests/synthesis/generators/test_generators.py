"""What every generator's set is: begun with its descriptions, gone on with, one clip a description."""

import contextlib

import pytest

from gvvad_jax import records
from gvvad_jax.synthesis import generators
from gvvad_jax.video import encode
from tests.synthesis.generators import clips


def drawn(description):
    """A generator's function that needs nothing."""
    if description.id.endswith("x"):
        raise ValueError(f"{description.id}: cannot be drawn")
    return records.Video(
        id=description.id, label=description.label, synthetic=1, split="train", num_frames=20, height=34, width=48,
        video=encode.mp4(clips.frames()), source={"text": description.text},
    )  # fmt: skip


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setitem(generators.GENERATORS, "plain", lambda asked, options: contextlib.nullcontext(drawn))


def generate(tmp_path, name="plain", **options):
    return generators.generate(tmp_path / "d.jsonl", name, tmp_path / "set", generators.Options(shards=1, **options))


def test_a_set_has_a_clip_a_description_and_failures_are_lines(tmp_path, capsys):
    clips.descriptions(tmp_path / "d.jsonl", "a1", "n1", "ax")
    summary = generate(tmp_path)
    assert (summary.status, summary.made, summary.failed) == (1, 2, ("ax",))
    assert str(summary) == f"2 clips made, 1 failed (errors.jsonl): {tmp_path / 'set'}"
    assert [video.id for video in records.reader(tmp_path / "set")] == ["a1", "n1"]
    assert generate(tmp_path).there == 2
    assert len(records.read_jsonl(tmp_path / "set" / "errors.jsonl")) == 1


def test_other_descriptions_and_another_generator_are_refused(tmp_path):
    clips.descriptions(tmp_path / "d.jsonl", "a1", "n1")
    generate(tmp_path)
    clips.descriptions(tmp_path / "d.jsonl", "n1", "a1")  # their order says nothing
    assert generate(tmp_path).there == 2
    clips.mp4s(tmp_path / "clips", "a1")
    with pytest.raises(ValueError, match=r"begun with other options: generator \('plain' before, 'folder' now\)"):
        options = generators.Options(root=tmp_path / "clips")
        generators.generate(tmp_path / "d.jsonl", "folder", tmp_path / "set", options)
    clips.descriptions(tmp_path / "d.jsonl", "a1", "n1", "n2")
    with pytest.raises(ValueError, match="begun with other options: descriptions"):
        generate(tmp_path)


def test_clips_are_files_too_where_asked_for_and_those_of_an_earlier_run(tmp_path):
    clips.descriptions(tmp_path / "d.jsonl", "a/1", "n1")
    generate(tmp_path)
    files = tmp_path / "files"
    assert generate(tmp_path, mp4=files).there == 2
    (files / "n1.mp4").write_bytes(b"of another set")
    generate(tmp_path, mp4=files)
    for video in records.reader(tmp_path / "set"):
        assert (files / f"{video.id}.mp4").read_bytes() == video.video
    clips.descriptions(tmp_path / "d.jsonl", "a/../../1")
    with pytest.raises(ValueError, match="would be a file outside .*files; leave --mp4 out"):
        generate(tmp_path, mp4=files)


def test_no_memory_for_a_clip_ends_the_run_and_nothing_is_said_of_the_others(tmp_path, monkeypatch):
    def too_large(description):
        raise MemoryError("too large for this machine")

    monkeypatch.setitem(generators.GENERATORS, "plain", lambda asked, options: contextlib.nullcontext(too_large))
    clips.descriptions(tmp_path / "d.jsonl", "a1", "n1")
    with pytest.raises(OSError, match="^a1: too large for this machine.$"):
        generate(tmp_path)
    assert not (tmp_path / "set" / "errors.jsonl").exists()


def test_no_clip_at_all_leaves_no_set(tmp_path):
    clips.descriptions(tmp_path / "d.jsonl", "ax")
    assert generate(tmp_path).status == 1
    assert not (tmp_path / "set" / "manifest.json").exists()


def test_an_unknown_generator_and_an_empty_file_are_refused(tmp_path):
    (tmp_path / "d.jsonl").write_text("")
    with pytest.raises(ValueError, match="no generator 'dream'; this version has scenes, folder"):
        generate(tmp_path, "dream")
    with pytest.raises(ValueError, match="holds no description"):
        generate(tmp_path)
