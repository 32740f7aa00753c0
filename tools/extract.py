"""Makes a feature set of a data set's videos, or of a video set.

  python tools/extract.py --dataset=ped2 --root=ped2 --crops=tiles --motion=differences,flow --out=sets/ped2

Run again it goes on where it stopped; on a finished set it tries what its errors.jsonl names, and says how many videos
came later and are not in it. Several hosts that see one file system share the videos: the same command on each with
--coordinator=HOST:PORT --num_processes=N --process_id=K, or --distributed where the cluster says. Exit status 0: no
video failed; 1: some did (errors.jsonl); 2: it could not run.
"""

import functools

from absl import flags

from gvvad_jax import datasets, hosts, program, records

ROOT = flags.DEFINE_string("root", None, "The folder of the data set's raw videos or pictures.")
DATASET = flags.DEFINE_string("dataset", None, f"What lies under --root: {', '.join(datasets.names())}.")
VIDEOS = flags.DEFINE_string("videos", None, "A video set, instead of --dataset and --root.")
ENCODER = flags.DEFINE_string(
    "encoder", "efficientnet_lite0", "The image encoder: efficientnet_lite0, or clip (with --weights)."
)
WEIGHTS = flags.DEFINE_string(
    "weights", None, "A folder of published weights, or a hub name (openai/clip-vit-large-patch14), for --encoder=clip."
)
CROPS = flags.DEFINE_enum("crops", "centre", ["centre", "five", "ten", "tiles"], "Which views of a frame are encoded.")
TILES = flags.DEFINE_string("tiles", "5x3", "Columns x rows of overlapping 224-pixel cells, for --crops=tiles.")
MOTION = flags.DEFINE_list("motion", [], "Blocks after the encoder's: some of differences, flow, image.")
FRAMES = flags.DEFINE_integer("frames_per_snippet", 1, "Frames encoded of each 16 (their mean): 1 is the middle one.")
SKIP = flags.DEFINE_bool("skip_missing", False, "Leave out videos that the data set names and --root lacks.")
WORKERS = flags.DEFINE_integer("workers", 2, "Threads that decode, each with a process.")
MEMORY = flags.DEFINE_integer("memory_bytes", None, "Limit of a decoding process, for large frames (2 GiB).", 1)
SECONDS = flags.DEFINE_float("timeout_seconds", None, "How long a video may give no new frame (15).", 0.1)
OUT = flags.DEFINE_string("out", None, "The feature set that is made.")
hosts.define_flags()


def main(argv: list[str]) -> int:
    """Extracts, prints what was made and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")
    if not OUT.value:
        raise ValueError("--out is missing: name the folder of the feature set to make.")
    if bool(VIDEOS.value) == bool(ROOT.value) or (ROOT.value and not DATASET.value):
        raise ValueError("give either --dataset and --root (raw files) or --videos (a video set).")
    columns, by, rows = TILES.value.partition("x")
    if not by or not columns.isdecimal() or not rows.isdecimal():
        raise ValueError(f"--tiles={TILES.value}: write columns x rows, such as 5x3.")

    from gvvad_jax.features import encoders, extraction, video
    from gvvad_jax.video import decode

    options = video.Options(
        crops=CROPS.value,
        tiles=(int(columns), int(rows)),
        motion=tuple(MOTION.value),
        frames_per_snippet=FRAMES.value,
    )
    name = DATASET.value or "folder"
    videos = datasets.entries(name, ROOT.value, SKIP.value) if ROOT.value else records.reader(VIDEOS.value or "")
    encoders.use_all_cores()
    hosts.start_by_flags()
    encoder = encoders.create(ENCODER.value, WEIGHTS.value)
    limits = {"memory_bytes": MEMORY.value, "timeout_seconds": SECONDS.value}
    decoder = functools.partial(decode.Decoder, **{key: value for key, value in limits.items() if value is not None})
    share = hosts.Share.of_run()
    summary = extraction.extract(
        videos, encoder, options, OUT.value, dataset=name, workers=WORKERS.value, decoder=decoder, share=share
    )
    print(summary)
    return summary.status


if __name__ == "__main__":
    program.run(main)
