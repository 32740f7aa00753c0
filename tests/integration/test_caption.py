"""tools/caption.py as a user runs it."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gvvad_jax import records
from tests.endpoint import service as fake
from tests.features import bert_folder, git_folder
from tests.features.test_captions import DRAWN, video
from tests.video import clips

ROOT = Path(__file__).parents[2]


def run(*flags):
    command = [sys.executable, str(ROOT / "tools" / "caption.py"), *map(str, flags)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    kept |= {"NO_PROXY": "127.0.0.1", "OPENAI_API_KEY": fake.KEY}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "tests", env=kept)


def test_captions_of_a_video_set_become_a_text_set(tmp_path):
    with records.writer(tmp_path / "clips", "video", shards=1) as w:
        w.add(video("a", captions=DRAWN))
        w.add(video("b"))
    weights = bert_folder.make(tmp_path / "small-bert")
    done = run(f"--videos={tmp_path / 'clips'}", f"--text_weights={weights}", f"--out={tmp_path / 'text'}")
    assert done.returncode == 1 and "b: its record carries no captions" in done.stderr, done.stderr
    assert done.stdout.startswith("1 videos made, 7 sentences, 1 failed (errors.jsonl)")
    assert "(small-bert, 16 columns)" in done.stdout
    assert records.reader(tmp_path / "text")[0].vectors.shape == (7, 16)


@pytest.mark.slow
def test_a_network_captions_raw_files_and_a_video_set_alike(tmp_path):
    (tmp_path / "raw").mkdir()
    clip = clips.make(tmp_path / "raw" / "a.mp4", 40)
    (tmp_path / "raw" / "b.mp4").write_bytes(clip.read_bytes()[:900])
    with records.writer(tmp_path / "clips", "video", shards=1) as w:
        w.add(dataclasses.replace(video("a", num_frames=40, captions=DRAWN), video=clip.read_bytes()))
    bert, git = bert_folder.make(tmp_path / "small-bert"), git_folder.make(tmp_path / "small-git")
    weights = (f"--weights={git}", f"--text_weights={bert}", "--window=32")
    done = run(f"--root={tmp_path / 'raw'}", *weights, f"--out={tmp_path / 'text'}")
    assert done.returncode == 1 and done.stdout.startswith("1 videos made, 3 sentences, 1 failed (errors.jsonl)")
    assert records.read_jsonl(tmp_path / "text" / "errors.jsonl")[0]["id"] == "b"
    done = run(f"--videos={tmp_path / 'clips'}", *weights, f"--out={tmp_path / 'own'}")
    assert done.returncode == 0, done.stderr
    found, own = (records.reader(tmp_path / name)[0] for name in ("text", "own"))
    assert found.sentences == own.sentences and found.spans.tolist() == [[0, 32], [16, 40], [32, 40]]
    assert set(" ".join(found.sentences).split()) <= set(bert_folder.WORDS) and found.source["captions"] == "small-git"


@pytest.mark.slow
def test_a_model_behind_an_endpoint_captions_raw_files(tmp_path):
    (tmp_path / "raw").mkdir()
    clips.make(tmp_path / "raw" / "a.mp4", 20)
    clips.make(tmp_path / "raw" / "b.mp4", 16)
    flags = (
        "--captioner=openai",
        "--model=looks",
        "--attempts=1",
        f"--text_weights={bert_folder.make(tmp_path / 'b')}",
    )
    flags += (f"--root={tmp_path / 'raw'}", f"--out={tmp_path / 'text'}")
    with fake.running(fake.says("A man walks."), fake.says("Nobody is there."), fake.fails(503)) as server:
        done = run(f"--base_url={server.url}", *flags)
        assert done.returncode == 1 and "1 videos made, 2 sentences, 1 failed (errors.jsonl)" in done.stdout, (
            done.stderr
        )
        assert "b: no answer: status 503: no after 1 attempts" in done.stderr and "paid now: 2 answers" in done.stdout
        assert {body["model"] for body in server.requests} == {"looks"}
        server.steps = [fake.says("A man waits.")]
        done = run(f"--base_url={server.url}", *flags)
        assert done.returncode == 0 and len(server.requests) == 4
    assert [list(r.sentences) for r in records.reader(tmp_path / "text")] == [
        ["A man walks.", "Nobody is there."],
        ["A man waits."],
    ]
    done = run("--base_url=http://127.0.0.1:9/v1", *flags[:-1], f"--out={tmp_path / 'other'}")
    assert done.returncode == 2 and "error: 127.0.0.1: no connection after 1 attempts" in done.stderr
    assert not (tmp_path / "other").exists() and fake.KEY not in done.stderr


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "--out is missing"),
        (["--out=OUT"], "give --videos (a video set), --captions"),
        (["--out=OUT", "--root=OUT"], "text holds no captions: give --weights=DIR of a captioner"),
        (["--out=OUT", "--root=OUT", "--weights=x", "--captions=y"], "give --weights (a captioner) or --captions"),
        (["--out=OUT", "--root=OUT", "--weights=x", "--captioner=openai"], "--captioner=openai writes the captions"),
        (["--out=OUT", "--captions=absent.jsonl", "--text_weights=BERT"], "no file absent.jsonl"),
        (["--out=OUT", "--root=raw", "--weights=some/git", "--text_weights=BERT"], "as a name of the hub, it was not"),
        (
            ["--out=OUT", "--captions=absent.jsonl", "--text_weights=absent"],
            "absent: no such file or folder, and no name of the hub",
        ),
    ],
)
def test_what_cannot_run_is_one_sentence_and_nothing_written(tmp_path, flags, sentence):
    if "--text_weights=BERT" in flags:
        bert_folder.make(tmp_path / "bert")
    (tmp_path / "raw").mkdir()
    clips.make(tmp_path / "raw" / "a.mp4", 2)
    places = {"raw": str(tmp_path / "raw"), "OUT": str(tmp_path / "text"), "BERT": str(tmp_path / "bert")}
    for name, place in places.items():
        flags = [flag.replace(f"={name}", f"={place}") for flag in flags]
    done = run(*flags)
    assert done.returncode == 2 and sentence in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert not (tmp_path / "text").exists()
