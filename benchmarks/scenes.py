"""How fast scenes are drawn and encoded, and how far plain cues give their anomalies away.

    python benchmarks/scenes.py [--clips=8] [--repeats=5] [--test=68]

Speed: frames a second of whole clips (320x240, 160 frames, forms in turn, both styles), ours beside the same drawing
with the settings that encode.mp4 has by default. Cues: the frame AUC that one number a frame reaches on `--test` videos
of the test split, half of them normal; below 0.5 counts as its mirror image.
"""

import statistics
import time
from importlib import metadata

import numpy as np
from absl import flags
from sklearn.metrics import roc_auc_score

from gvvad_jax import program, records
from gvvad_jax.synthesis import scenes
from gvvad_jax.video import decode, encode

CLIPS = flags.DEFINE_integer("clips", 8, "A repeat: as many of either class and style.")
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed repeats after one clip to warm up.")
TEST = flags.DEFINE_integer("test", 68, "Test videos for the cues; 0: none.")


def main(argv: list[str]) -> int:
    """Prints two tables."""
    del argv
    _draw("train", 1, 99, scenes.STYLES)
    ours = dict(scenes.X264)
    ways = {"ours": ours, "encode.mp4's defaults": {style: encode.X264 for style in ours}}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(REPEATS.value):
        for name, options in ways.items():  # in turn, so that a busy machine is unfair to none
            scenes.X264.update(options)
            begun, used = time.perf_counter(), time.process_time()
            frames = sum(clip.num_frames for clip in _draw("train", CLIPS.value // 4, repeat, scenes.STYLES))
            wall[name].append(frames / (time.perf_counter() - begun))
            processor[name].append(frames / (time.process_time() - used))
    scenes.X264.update(ours)
    print(f"{'frames/s':24}{'wall':>8}{'(slowest to fastest)':>22}{'processor':>11}")
    for name in ways:
        spread = f"({min(wall[name]):.0f} to {max(wall[name]):.0f})"
        print(f"{name:24}{statistics.median(wall[name]):8.0f}{spread:>22}{statistics.median(processor[name]):11.0f}")
    if TEST.value:
        for name, auc in cues(_draw("test", TEST.value // 2, 0)).items():
            print(f"{name:24}{auc:8.3f}")
    print(", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "av")))
    return 0


def _draw(split: str, count: int, seed: int, styles: tuple[str, ...] = ("real",)) -> list[records.Video]:
    """`count` videos of each class and style."""
    return [
        video
        for style in styles
        for label in (0, 1)
        for video in scenes.clips(count, label=label, style=style, split=split, seed=seed)
    ]


def cues(videos: list[records.Video]) -> dict[str, float]:
    """Frame AUC of each plain cue over all videos."""
    values: dict[str, list[np.ndarray]] = {}
    labels = []
    with decode.Decoder() as decoder:
        for video in videos:
            frames = np.concatenate([s.frames for s in decoder.snippets(video.video, keep="all")])
            for name, value in cue_values(frames).items():
                values.setdefault(name, []).append(value)
            label = np.zeros(video.num_frames, int)
            for start, end in video.intervals or ():
                label[start:end] = 1
            labels.append(label)
    truth = np.concatenate(labels)
    found = {name: float(roc_auc_score(truth, np.concatenate(value))) for name, value in values.items()}
    return {name: max(auc, 1 - auc) for name, auc in found.items()}


def cue_values(frames: np.ndarray) -> dict[str, np.ndarray]:
    """One number a frame: [F] each, from every second pixel along each side."""
    pixels = frames[:, ::2, ::2].astype(np.int16)
    change = np.abs(np.diff(pixels.mean(-1), axis=0, prepend=pixels[:1].mean(-1)))
    return {
        "brightness": pixels.mean((1, 2, 3)),
        "saturation": (pixels.max(-1) - pixels.min(-1)).mean((1, 2)),
        "frame difference, mean": change.mean((1, 2)),
        "frame difference, 99.9 %": np.percentile(change.reshape(len(change), -1), 99.9, axis=1),
        "time position": np.arange(len(frames)) / len(frames),
    }


if __name__ == "__main__":
    program.run(main)
