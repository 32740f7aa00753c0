import array
import fcntl
import itertools
import os
import signal
import subprocess
import sys
import termios
import threading

import numpy as np
import pytest

from gvvad_jax.video import decode, encode
from gvvad_jax.video.decode import DecodeError, Decoder
from tests.video import clips


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return clips.make(tmp_path_factory.mktemp("clip") / "clip.mp4", num_frames=75)


def indices(snippets):
    return [(s.start, s.stop, s.indices.tolist(), [clips.index_of(f) for f in s.frames]) for s in snippets]


@pytest.mark.parametrize("keep", [1, 3, 16, "all"])
def test_kept_frames_are_those_asked_for(decoder, clip, keep):
    for start, stop, wanted, seen in indices(decoder.snippets(clip, keep=keep)):
        assert wanted == seen
        assert len(wanted) == {1: 1, 3: 3, 16: 16, "all": stop - start}[keep]
    assert stop == 75
    assert decoder.info == decode.Info(num_frames=75, fps=25.0, height=48, width=64)


def test_a_video_shorter_than_a_snippet_is_one_snippet(decoder, tmp_path):
    short = clips.make(tmp_path / "short.mp4", num_frames=5)
    assert indices(decoder.snippets(short)) == [(0, 5, [2], [2])]
    assert indices(decoder.snippets(short, snippet_frames=2)) == [(0, 2, [1], [1]), (2, 5, [3], [3])]


def test_bytes_give_the_same_as_the_file(decoder, clip):
    a = np.concatenate([s.frames for s in decoder.snippets(clip, keep=4)])
    b = np.concatenate([s.frames for s in decoder.snippets(clip.read_bytes(), keep=4)])
    assert (a == b).all()


def test_frames_and_probe(clip):
    frames = decode.frames(clip)
    assert frames.shape == (75, 48, 64, 3) and frames.flags.writeable
    assert [clips.index_of(f) for f in frames] == list(range(75))
    assert decode.probe(str(clip)) == decode.Info(num_frames=75, fps=25.0, height=48, width=64)


def test_pixels_equal_those_of_a_plain_loop(clip):
    import av

    with av.open(str(clip)) as container:
        plain = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert (decode.frames(clip) == plain).all()


def test_info_is_unknown_until_the_end(decoder, clip):
    stream = decoder.snippets(clip)
    next(stream)
    assert decoder.info is None
    list(stream)
    assert decoder.info.num_frames == 75


def test_an_abandoned_video_does_not_disturb_the_next(decoder, clip):
    for _ in decoder.snippets(clip, keep="all"):
        break
    abandoned = decoder.snippets(clip, keep="all")
    next(abandoned)
    assert len(list(decoder.snippets(clip))) == 4
    with pytest.raises(RuntimeError, match="moved on to another video"):
        next(abandoned)
    assert len(list(decoder.snippets(clip))) == 4


def test_a_killed_worker_is_one_sentence_and_the_next_video_works(clip):
    with Decoder() as decoder:
        list(decoder.snippets(clip))
        first = decoder._process.child.pid
        os.kill(first, signal.SIGKILL)
        decoder._process.child.wait()
        assert len(list(decoder.snippets(clip))) == 4  # killed between two videos: nobody notices
        assert decoder._process.child.pid != first


def test_a_worker_killed_within_a_video_names_it(tmp_path):
    fifo = tmp_path / "pipe.mp4"
    os.mkfifo(fifo)
    with Decoder(timeout_seconds=60) as decoder:
        list(decoder.snippets(encode.mp4(np.zeros((20, 16, 16, 3), np.uint8))))
        threading.Timer(0.3, os.kill, (decoder._process.child.pid, signal.SIGKILL)).start()
        with pytest.raises(DecodeError, match=r"pipe\.mp4 ended its decode worker \(signal SIGKILL\)"):
            list(decoder.snippets(fifo))
        assert len(list(decoder.snippets(encode.mp4(np.zeros((20, 16, 16, 3), np.uint8))))) == 1


def test_frames_that_wait_when_the_worker_dies_are_read_before_it_is_named(clip, tmp_path):
    long = clips.make(tmp_path / "long.mp4", num_frames=600)  # more than the worker sends ahead
    with Decoder() as decoder:
        stream = decoder.snippets(long, keep="all", name="long")
        seen = next(stream).indices.tolist()
        waiting = array.array("i", [0])
        for _ in range(1000):  # until there are messages of a snippet's frames
            fcntl.ioctl(decoder._process.back, termios.FIONREAD, waiting)
            if waiting[0] > 1000:
                break
            threading.Event().wait(0.01)
        decoder._process.child.kill()
        decoder._process.child.wait()
        with pytest.raises(DecodeError, match=r"^long ended its decode worker \(signal SIGKILL\)"):
            for snippet in stream:
                seen += snippet.indices.tolist()
        assert seen == list(range(len(seen))) and len(seen) > 16
        assert len(list(decoder.snippets(clip))) == 4


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS"])
def test_a_crash_names_its_signal(tmp_path, name):
    fifo = tmp_path / "pipe.mp4"
    os.mkfifo(fifo)
    with Decoder(timeout_seconds=60) as decoder:
        list(decoder.snippets(encode.mp4(np.zeros((1, 16, 16, 3), np.uint8))))
        threading.Timer(0.2, os.kill, (decoder._process.child.pid, getattr(signal, name))).start()
        with pytest.raises(DecodeError, match=name):
            list(decoder.snippets(fifo))


def test_a_source_that_blocks_is_given_up(tmp_path, clip):
    fifo = tmp_path / "pipe.mp4"
    os.mkfifo(fifo)
    with Decoder(timeout_seconds=0.5) as decoder:
        with pytest.raises(DecodeError, match=r"pipe\.mp4 was given up: no new frame for 0\.5 s"):
            list(decoder.snippets(fifo))
    with Decoder() as decoder:
        assert len(list(decoder.snippets(clip))) == 4


def test_a_slow_reader_is_no_hang(clip):
    with Decoder(timeout_seconds=0.3) as decoder:
        pause = threading.Event()
        seen = []
        for snippet in decoder.snippets(clip, keep="all"):
            pause.wait(0.5)
            seen += snippet.indices.tolist()
        assert seen == list(range(75))


def test_more_frames_than_shared_memory_holds_wait_for_the_reader(tmp_path):
    big = clips.make(tmp_path / "big.mkv", num_frames=40, height=480, width=640, options={"preset": "ultrafast"})
    with Decoder(memory_bytes=640 << 20) as decoder:  # 64 MiB of 0.9 MB frames
        seen = list(itertools.chain.from_iterable(s.indices for s in decoder.snippets(big, keep="all")))
    assert seen == list(range(40))


def test_a_frame_too_large_for_the_memory_limit_is_refused(tmp_path):
    huge = clips.make(tmp_path / "huge.gif", num_frames=2, codec="gif", pixels="rgb8")
    data = bytearray(huge.read_bytes())
    data[6:10] = (16000).to_bytes(2, "little") * 2  # the canvas, a gigabyte in colour
    huge.write_bytes(data)
    with Decoder(memory_bytes=512 << 20) as decoder:
        with pytest.raises(DecodeError, match=r"huge\.gif needs more than the 0\.5 GiB"):
            list(decoder.snippets(huge))
        assert len(list(decoder.snippets(encode.mp4(np.zeros((20, 16, 16, 3), np.uint8))))) == 1


def test_a_limit_too_small_to_start_is_a_sentence():
    with Decoder(memory_bytes=16 << 20) as decoder, pytest.raises(OSError, match="does not start .*16,777,216"):
        list(decoder.snippets(b"x"))


def test_two_decoders_in_two_threads(clip):
    counts = []

    def count():
        with Decoder() as decoder:
            counts.extend(len(list(decoder.snippets(clip))) for _ in range(3))

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [4] * 6


def test_the_worker_ends_with_its_parent(tmp_path, clip):
    program = (
        "import sys; from gvvad_jax.video.decode import Decoder; d = Decoder(); "
        f"s = d.snippets({str(clip)!r}); next(s); print(d._process.child.pid); sys.stdout.flush(); "
        "import os; os._exit(9)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 9, run.stderr
    pid = int(run.stdout)
    deadline = threading.Event()
    for _ in range(100):
        if not os.path.exists(f"/proc/{pid}"):
            return
        deadline.wait(0.1)
    pytest.fail(f"worker {pid} is still there")


def test_the_worker_does_not_import_jax():
    program = "import sys, gvvad_jax.video.worker; print([m for m in ('jax', 'jaxlib', 'flax') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(("keep", "snippet_frames"), [(0, 16), (-1, 16), (1, 0)])
def test_impossible_snippets_are_refused(decoder, clip, keep, snippet_frames):
    with pytest.raises(ValueError, match="at least 1"):
        decoder.snippets(clip, keep=keep, snippet_frames=snippet_frames)


def test_names_and_absent_files(decoder, tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.mp4"):
        decoder.snippets(tmp_path / "gone.mp4")
    with pytest.raises(DecodeError, match=r"^Abuse001 is not a video|^Abuse001 cannot be opened"):
        list(decoder.snippets(b"no video at all" * 100, name="Abuse001"))
    with pytest.raises(DecodeError, match="a video of 1,500 bytes"):
        list(decoder.snippets(b"no video at all" * 100))
    with pytest.raises(DecodeError, match=r"empty \(0 bytes\)"):
        decoder.snippets(b"")


def test_odd_names_are_files_and_no_protocols(decoder, clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4", "http:a.mp4", "%03d.mp4", "a b\u00e4\n.mp4", "-i.mp4"):
        (tmp_path / name).write_bytes(clip.read_bytes())
        assert len(list(decoder.snippets(name))) == 4


def test_real_clips_and_frames(decoder, shared):
    for path in sorted((shared / "data" / "fights" / "fight").glob("*.mp4"))[:2]:
        snippets = list(decoder.snippets(path))
        assert len(snippets) == max(1, decoder.info.num_frames // 16)
        assert decoder.info.notes == () and decoder.info.fps in (10, 25, 30)
        assert 20 < snippets[0].frames.mean() < 230
    folder = shared / "data" / "ped2" / "frames" / "Train001"
    frames = np.concatenate([s.frames for s in decoder.snippets(folder, keep="all")])
    assert frames.shape == (120, 240, 360, 3)
    assert decoder.info == decode.Info(num_frames=120, fps=None, height=240, width=360)
    assert np.abs(np.diff(frames.astype(int), axis=0)).mean() < 5  # in order
