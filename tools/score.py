"""Scores videos of your own with a trained bundle.

  python tools/score.py entrance.mp4 yard.mp4 --bundle=runs/clips/bundle --out=scored

Writes scored/scores.npz (`scores/<id>`, a number a frame) and for each video scored/<id>/index.html, which plays it
over its curve, scores.csv (frame, second, score) and curve.png. A detector that reads text needs --captions, lines of
{"<id>": ["sentence", ...]}, a sentence every 16 frames, or --caption_weights, a folder of GIT. Exit status 0: every
video was scored; 1: some were not (errors.jsonl); 2: it could not run.
"""

import functools

from absl import flags

from gvvad_jax import program

BUNDLE = flags.DEFINE_string("bundle", None, "The bundle/ folder of a run.")
CAPTIONS = flags.DEFINE_string("captions", None, "A caption file, for a detector that reads text.")
CAPTIONER = flags.DEFINE_string(
    "caption_weights", None, "Instead: GIT's folder or hub name, which captions each video."
)
WEIGHTS = flags.DEFINE_string("weights", None, "The image encoder's folder or hub name, where it needs one.")
TEXT_WEIGHTS = flags.DEFINE_string(
    "text_weights", None, "A sentence encoder's folder or hub name (default: all-MiniLM-L6-v2)."
)
PLAYER = flags.DEFINE_bool("player", True, "Let pages play the videos: writes a small copy of each.")
OUT = flags.DEFINE_string("out", None, "The folder that is made.")


def main(argv: list[str]) -> int:
    """Scores, prints a line a video and gives the exit status."""
    if not BUNDLE.value or not OUT.value:
        raise ValueError("give --bundle (a run's bundle/ folder) and --out (the folder to make), see --help.")
    if not argv[1:]:
        raise ValueError("no video is named; give one or more files, see --help.")

    from gvvad_jax.features import encoders
    from gvvad_jax.inference import clips

    encoders.use_all_cores()
    summary = clips.score(
        argv[1:],
        BUNDLE.value,
        OUT.value,
        captions=CAPTIONS.value,
        caption_weights=CAPTIONER.value,
        weights=WEIGHTS.value,
        text_weights=TEXT_WEIGHTS.value,
        players=PLAYER.value,
        say=functools.partial(print, flush=True),
    )
    return summary.status


if __name__ == "__main__":
    program.run(main)
