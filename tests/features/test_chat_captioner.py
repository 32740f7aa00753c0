"""A vision language model's sentences through real HTTP on loopback: asked, kept, and never paid for twice."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from gvvad_jax import datasets, records
from gvvad_jax.endpoint.cache import Cache
from gvvad_jax.endpoint.client import Answer, Client, Down, Service, Stop
from gvvad_jax.features import captioner, chat_captioner, sentences
from tests.endpoint import service as fake
from tests.features import bert_folder
from tests.video import clips

WALKS = fake.says("A man walks.")


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", fake.KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("gvvad_jax.endpoint.client.FIRST_WAIT_SECONDS", 0.0)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return sentences.create(bert_folder.make(tmp_path_factory.mktemp("bert") / "bert"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three videos of 3, 2 and 2 windows."""
    folder = tmp_path_factory.mktemp("videos")
    for name, frames in (("a", 40), ("b", 20), ("c", 17)):
        clips.make(folder / f"{name}.mp4", frames)
    return folder


def write(server, root, out, encoder, **options):
    url = server.url if isinstance(server, fake.Server) else server
    service = Service(model="looks", base_url=url, timeout_seconds=5.0, requests_per_minute=1e9)
    return chat_captioner.write(out, encoder, service, datasets.entries("folder", root), **options)


def errors(out):
    return {row["id"]: row["error"] for row in records.read_jsonl(out / "errors.jsonl")}


def test_each_window_is_asked_with_a_few_of_its_frames_as_pictures(root, tmp_path, encoder):
    with fake.running(*[WALKS] * 6, fake.says('"Two men fight. They fall."')) as server:
        done = write(server, root, tmp_path / "text", encoder, window=32)
        bodies = server.requests
    assert (done.made, done.sentences, done.status, len(bodies)) == (3, 7, 0, 7)
    assert "paid now: 7 answers" in done.report
    found = records.reader(tmp_path / "text")
    assert found.by_id("a").spans.tolist() == [[0, 32], [16, 40], [32, 40]]
    assert list(found.by_id("a").sentences) == ["A man walks."] * 3
    assert list(found.by_id("c").sentences) == ["A man walks.", "Two men fight."]
    assert found[0].source["captions"] == "openai:looks" and found[0].source["captioner"]["host"] == "127.0.0.1"
    text, *pictures = bodies[0]["messages"][1]["content"]
    assert bodies[0]["model"] == "looks" and text["type"] == "text" and len(pictures) == chat_captioner.FRAMES
    shown = []
    for picture in pictures:
        head, data = picture["image_url"]["url"].split(",")
        assert picture["type"] == "image_url" and head == "data:image/jpeg;base64"
        shown.append(clips.index_of(np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))))
    assert shown == captioner.evenly(0, 32, chat_captioner.FRAMES)


def test_a_large_frame_is_shown_small_and_a_small_one_as_it_is(tmp_path):
    asking = chat_captioner.ChatCaptioner(Client(Service()), Cache(tmp_path))
    assert asking.crop(np.zeros((1080, 1920, 3), np.uint8)).shape == (288, 512, 3)
    assert asking.crop(np.zeros((48, 64, 3), np.uint8)).shape == (48, 64, 3)


def test_a_rerun_pays_for_nothing_and_needs_no_key(root, tmp_path, encoder, monkeypatch):
    with fake.running(*[WALKS] * 7) as server:
        write(server, root, tmp_path / "text", encoder)
        monkeypatch.delenv("OPENAI_API_KEY")
        assert write(server, root, tmp_path / "text", encoder).there == 3
        (tmp_path / "text.cache").rename(tmp_path / "other.cache")
        done = write(server, root, tmp_path / "other", encoder)  # another set of the same windows
        assert done.made == 3 and "paid now: nothing; kept from before: 7 answers" in done.report
        assert len(server.requests) == 7
    cached = b"".join(path.read_bytes() for path in (tmp_path / "other.cache").iterdir())
    assert b"base64" not in cached and fake.KEY.encode() not in cached


def test_trouble_is_asked_again_and_a_video_without_an_answer_is_a_line_that_a_rerun_mends(root, tmp_path, encoder):
    trouble = [fake.fails(429, retry_after="0"), fake.drops, WALKS, WALKS, WALKS]
    with fake.running(*trouble, *[fake.fails(500, "broken")] * 3, *[WALKS] * 2) as server:
        done = write(server, root, tmp_path / "text", encoder, attempts=3)
        assert (done.made, done.failed, done.status) == (2, ("b",), 1)
        assert (
            "no answer: status 500: broken after 3 attempts; run the same command again"
            in errors(tmp_path / "text")["b"]
        )
        assert len(server.requests) == 10, "the rest of a failed video is not asked for"
        server.steps = [WALKS] * 2
        done = write(server, root, tmp_path / "text", encoder, attempts=3)
        assert (done.made, done.there, done.status, len(server.requests)) == (1, 2, 0, 12)


def test_what_is_no_sentence_is_asked_again_and_in_the_end_empty(root, tmp_path, encoder, caplog):
    (root_b := tmp_path / "videos").mkdir()
    clips.make(root_b / "b.mp4", 16)
    steps = [fake.says(None, refusal="I cannot"), fake.says(""), WALKS]
    with fake.running(*steps) as server:
        assert write(server, root_b, tmp_path / "text", encoder).sentences == 1
        said = [body["messages"][1]["content"][0]["text"] for body in server.requests]
    assert said[0] == "4 pictures." and "Attempt 2" in said[1] and "it was a refusal" in said[1] and "empty" in said[2]
    for steps in ([fake.says("")] * 2, [fake.fails(400, "no", code="content_filter")]):
        out = tmp_path / f"none{len(steps)}"
        with fake.running(*steps) as server:
            assert write(server, root_b, out, encoder, attempts=2).status == 0
        assert list(records.reader(out)[0].sentences) == [""]
        assert "b: 1 of 1 windows got no words" in caplog.text
        caplog.clear()


@pytest.mark.parametrize(
    ("content", "how", "found"),
    [
        ("A car stops.", {}, "A car stops."),
        ("A car stops. A man gets out.", {}, "A car stops."),
        ("A car at 3.5 m/s stops", {}, "A car at 3.5 m/s stops"),
        ('"A man walks."', {}, "A man walks."),
        ("A man walks. He tur", {"finish_reason": "length"}, "A man walks."),
    ],
)
def test_one_sentence_is_taken_of_an_answer(content, how, found):
    answer = Answer(content, "", how.get("finish_reason", "stop"), 1, 1)
    assert chat_captioner.sentence(answer) == found


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer("A man wal", "", "length", 1, 1), "cut off"),
        (Answer("'' ", "", "stop", 1, 1), "empty"),
        (Answer("", "I cannot", "stop", 1, 1), "a refusal"),
        (Answer("A man", "", "content_filter", 1, 1), "a refusal"),
    ],
)
def test_what_is_no_sentence_is_refused_with_the_reason(answer, told):
    with pytest.raises(ValueError, match=told):
        chat_captioner.sentence(answer)


def test_where_nothing_can_be_asked_it_ends_and_leaves_nothing(root, tmp_path, encoder, monkeypatch):
    with pytest.raises(Down, match="127.0.0.1: no connection after 2 attempts; check the address"):
        write("http://127.0.0.1:9/v1", root, tmp_path / "text", encoder, attempts=2)
    with fake.running(fake.fails(401, fake.KEY)) as server, pytest.raises(Stop, match="refuses the key"):
        write(server, root, tmp_path / "text", encoder)
    with fake.running(*[fake.fails(500)] * 3) as server, pytest.raises(Down, match="no answer to 3 videos in a row"):
        write(server, root, tmp_path / "text", encoder, attempts=1)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(Stop, match="OPENAI_API_KEY is not set"):
        write("http://127.0.0.1:9/v1", root, tmp_path / "text", encoder)
    with pytest.raises(ValueError, match="--attempts=0"):
        write("http://127.0.0.1:9/v1", root, tmp_path / "text", encoder, attempts=0)
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_ends_midway_keeps_what_is_done_and_asks_no_more(root, tmp_path, encoder):
    with fake.running(*[WALKS] * 4, fake.fails(402, "pay")) as server:
        done = write(server, root, tmp_path / "text", encoder)
        assert (done.made, done.failed, done.status) == (1, ("b", "c"), 1) and len(server.requests) == 5
        assert all("no credit left" in error for error in errors(tmp_path / "text").values())
        server.steps = [WALKS] * 3
        done = write(server, root, tmp_path / "text", encoder)
        assert done.status == 0 and len(server.requests) == 8 and "kept from before: 1 answers" in done.report
    assert len(records.reader(tmp_path / "text")) == 3


def test_an_interrupted_run_goes_on_with_the_window_that_lacks(root, tmp_path, encoder):
    def interrupt(*_):
        raise KeyboardInterrupt

    with fake.running(*[WALKS] * 4, fake.fails(500), *[WALKS] * 3) as server:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Client, "wait", interrupt)
            write(server, root, tmp_path / "text", encoder)
        done = write(server, root, tmp_path / "text", encoder)
        assert (done.made, done.there) == (2, 1) and len(server.requests) == 8
