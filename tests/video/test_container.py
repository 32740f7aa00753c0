import wave

import numpy as np
import pytest
from PIL import Image

from gvvad_jax.video.decode import DecodeError
from tests.video import clips

CONTAINERS = {
    "a.mp4": {},
    "fast.mp4": {"container": {"movflags": "faststart"}},
    "fragmented.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "10"}},
    "a.mkv": {},
    "a.flv": {},
    "a.webm": {"codec": "libvpx"},
    "a.avi": {"codec": "mpeg4"},
    "motion_jpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "a.mov": {"codec": "prores", "pixels": "yuv422p10le"},
    "ten_bits.mkv": {"codec": "ffv1", "pixels": "yuv420p10le"},
    "grey.mkv": {"codec": "ffv1", "pixels": "gray"},
    "a.wmv": {"codec": "wmv2", "format": "asf"},
    "a.ogv": {"codec": "libvpx", "format": "ogg"},
    "a.gif": {"codec": "gif", "pixels": "rgb8"},
    "a.nut": {"codec": "ffv1"},
    "a.ts": {},
    "a.mpg": {"codec": "mpeg2video"},
    "a.m1v": {"codec": "mpeg1video"},
}
PROMISE_NOTHING = {"a.ts", "a.mpg", "a.m1v"}  # streams without a length: how much is missing cannot be known


def read(decoder, path):
    return [clips.index_of(frame) for snippet in decoder.snippets(path, keep="all") for frame in snippet.frames]


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_every_frame_in_order(decoder, tmp_path, name):
    path = clips.make(tmp_path / name, **CONTAINERS[name])
    seen = read(decoder, path)
    assert seen == list(range(50))
    assert decoder.info.num_frames == 50
    assert decoder.info.fps == (None if name == "a.m1v" else 25)
    assert not decoder.info.notes or name == "a.m1v"


@pytest.mark.parametrize("name", [name for name in CONTAINERS if name not in PROMISE_NOTHING])
def test_no_truncation_gives_a_shorter_video_in_silence(decoder, tmp_path, name):
    data = clips.make(tmp_path / name, **CONTAINERS[name]).read_bytes()
    for share in (0.01, 0.3, 0.6, 0.9, 0.99):
        cut = tmp_path / f"cut_{name}"
        cut.write_bytes(data[: int(share * len(data))])
        try:
            seen = read(decoder, cut)
        except DecodeError as error:
            assert f"cut_{name} " in str(error) and str(error).endswith(".") and "\n" not in str(error)
        else:
            assert len(seen) == 50, f"{share} of {name} gave {len(seen)} frames without an error"


def test_a_stream_that_breaks_off_says_how_far_it_came(decoder, tmp_path):
    data = clips.make(tmp_path / "a.mp4", container={"movflags": "faststart"}).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(DecodeError, match=r"cut\.mp4 breaks off after \d+ frames of the 50 that its container"):
        read(decoder, tmp_path / "cut.mp4")
    (tmp_path / "cut.mp4").write_bytes(clips.make(tmp_path / "b.mp4").read_bytes()[:2000])
    with pytest.raises(DecodeError, match=r"is cut off: it announces [\d,]+ bytes and has 2,000"):
        read(decoder, tmp_path / "cut.mp4")


def test_random_damage_gives_frames_or_a_sentence(decoder, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a.mp4", "a.avi", "a.mkv", "a.ts", "a.gif", "a.webm"):
        data = clips.make(tmp_path / name, num_frames=20, **CONTAINERS[name]).read_bytes()
        for trial in range(12):
            broken = np.frombuffer(data, np.uint8).copy()
            places = rng.integers(0, len(broken), 2 ** rng.integers(0, 8))
            broken[places] = rng.integers(0, 256, len(places))
            start = rng.integers(0, len(broken)) if trial % 3 == 0 else 0
            try:
                snippets = list(decoder.snippets(broken[start:].tobytes() or b"\0", name="broken"))
            except DecodeError as error:
                assert str(error).startswith("broken ")
            else:
                assert sum(s.stop - s.start for s in snippets) == decoder.info.num_frames > 0
    assert len(read(decoder, tmp_path / "a.mp4")) == 20


def test_a_variable_frame_rate_keeps_every_stored_frame_and_says_so(decoder, tmp_path):
    gaps = np.where(np.arange(49) % 10 == 9, 400, 20)
    times = [0, *np.cumsum(gaps).tolist()]
    for name in ("vfr.mkv", "vfr.mp4"):
        path = clips.make(tmp_path / name, times=times)
        assert read(decoder, path) == list(range(50))
        assert decoder.info.fps == pytest.approx(49 / (times[-1] / 1000), rel=0.01)
        assert any("variable frame rate" in note for note in decoder.info.notes)


def test_rounded_timestamps_are_no_variable_frame_rate(decoder, tmp_path):
    times = [round(i * 1000 / 25.1) for i in range(50)]
    read(decoder, clips.make(tmp_path / "near.mkv", times=times))
    assert decoder.info.notes == ()
    assert decoder.info.fps == 25


def test_timestamps_are_believed_before_a_header(decoder, tmp_path):
    times = [round(i * 1000 / 30) for i in range(50)]
    read(decoder, clips.make(tmp_path / "thirty.mkv", times=times))  # whose header says 25
    assert decoder.info.fps == pytest.approx(30, rel=0.01)
    assert decoder.info.notes == ("the container says 25 frames a second, its timestamps 30.01",)


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 1), lambda p: p),
        ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),  # a quarter clockwise
        ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
        ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
        ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
        ((1, 0, 0, -1), lambda p: p[::-1]),
        ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    ],
)
def test_rotated_videos_are_turned_upright(decoder, tmp_path, matrix, turn):
    path = clips.set_display_matrix(clips.make(tmp_path / "turned.mp4", num_frames=20), *matrix)
    (snippet,) = decoder.snippets(path, keep=1)
    expected = turn(clips.picture(10))
    assert snippet.frames.shape[1:] == expected.shape == (decoder.info.height, decoder.info.width, 3)
    assert np.abs(snippet.frames[0].astype(int) - expected).mean() < 4


def test_our_turns_agree_with_ffmpegs_own_angle(tmp_path):
    import av

    from gvvad_jax.video.container import display_matrix, upright

    for matrix, degrees in (((0, 1, -1, 0), -90), ((0, -1, 1, 0), 90)):
        path = clips.set_display_matrix(clips.make(tmp_path / "turned.mp4", num_frames=2), *matrix)
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            assert frame.rotation == degrees  # counter-clockwise
            pixels = frame.to_ndarray(format="rgb24")
            assert (upright(pixels, display_matrix(frame)) == np.rot90(pixels, degrees // 90)).all()


def test_odd_sizes(decoder, tmp_path):
    path = clips.make(tmp_path / "odd.mkv", height=47, width=63, codec="ffv1", pixels="bgr0")
    (first, *_) = decoder.snippets(path, keep=1)
    assert first.frames.shape == (1, 47, 63, 3)
    assert (first.frames[0] == clips.picture(8, 47, 63)).all()


def test_interlaced_video_is_read_and_noted(decoder, tmp_path):
    options = {"flags": "+ilme+ildct", "field_order": "tt"}
    path = clips.make(tmp_path / "fields.mpg", codec="mpeg2video", options=options)
    assert len(read(decoder, path)) == 50
    assert any(note.startswith("interlaced") for note in decoder.info.notes)


def test_a_size_that_changes_is_refused(decoder, tmp_path):
    first = clips.make(tmp_path / "a.ts", num_frames=30).read_bytes()
    second = clips.make(tmp_path / "b.ts", num_frames=30, height=96, width=128).read_bytes()
    (tmp_path / "both.ts").write_bytes(first + second)
    with pytest.raises(DecodeError, match="changes from 64x48 to 128x96 pixels at frame 30"):
        read(decoder, tmp_path / "both.ts")


def test_a_false_promise_is_a_note(decoder, tmp_path):
    data = bytearray(clips.make(tmp_path / "a.avi", codec="mpeg4").read_bytes())
    start = data.index(b"strh") + 8 + 32  # the stream's length in frames
    assert int.from_bytes(data[start : start + 4], "little") == 50
    data[start : start + 4] = (60).to_bytes(4, "little")
    (tmp_path / "a.avi").write_bytes(data)
    assert len(read(decoder, tmp_path / "a.avi")) == 50
    assert "the container promises 60 frames, 50 were decoded" in decoder.info.notes


def test_sound_alone_has_no_video_stream(decoder, tmp_path):
    for name in ("sound.mp4", "sound.m4a", "sound.mkv"):
        with pytest.raises(DecodeError, match=rf"{name} has no video stream\."):
            read(decoder, clips.make_sound(tmp_path / name))
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with pytest.raises(DecodeError, match=r"sound\.wav has no video stream\."):
        read(decoder, tmp_path / "sound.wav")


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "notes.avi", "notes.ans", "notes.nfo"])
def test_text_is_no_video(decoder, tmp_path, name):
    (tmp_path / name).write_text("A readme about videos.\n" * 200)
    with pytest.raises(DecodeError, match=rf"{name} (is not a video|cannot be opened)"):
        read(decoder, tmp_path / name)


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXTINF:1,\na.ts\n", "ffconcat version 1.0\nfile a.ts\n", "[Script Info]\n"]
)
def test_playlists_that_name_other_files_are_refused(decoder, tmp_path, text):
    clips.make(tmp_path / "a.ts")
    for name in ("list.m3u8", "list.mp4"):
        (tmp_path / name).write_text(text)
        with pytest.raises(DecodeError):
            read(decoder, tmp_path / name)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tif"])
def test_a_single_picture_is_no_video(decoder, tmp_path, ending):
    for name in (f"picture.{ending}", f"{ending}.mp4"):
        Image.fromarray(clips.picture(1)).save(tmp_path / f"picture.{ending}")
        (tmp_path / name).write_bytes((tmp_path / f"picture.{ending}").read_bytes())
        with pytest.raises(DecodeError, match="is a single [A-Z]+ picture; give the folder"):
            read(decoder, tmp_path / name)


def test_a_header_without_frames(decoder, tmp_path):
    import av

    with av.open(str(tmp_path / "none.avi"), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        file.start_encoding()
    with pytest.raises(DecodeError, match=r"none\.avi .*(without a single frame|no video stream|cannot be opened)"):
        read(decoder, tmp_path / "none.avi")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(DecodeError, match=r"empty\.mp4 is empty \(0 bytes\)"):
        read(decoder, tmp_path / "empty.mp4")
