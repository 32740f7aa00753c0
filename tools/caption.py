"""Makes a text set: a sentence for every window of frames of each video, and its vector.

  python tools/caption.py --videos=sets/clips --out=sets/clips-text
  python tools/caption.py --root=VIDEOS --weights=GIT --out=sets/text
  OPENAI_API_KEY=… python tools/caption.py --root=VIDEOS --captioner=openai --model=NAME --out=sets/text
  python tools/caption.py --captions=captions.jsonl --videos=sets/clips --out=sets/clips-text

With --weights, a folder of GIT (microsoft/git-base-vatex: config.json, model.safetensors, tokenizer.json or vocab.txt,
preprocessor_config.json), the network writes a sentence for every window of frames, from six of them; with
--captioner=openai a model behind any OpenAI-compatible endpoint does, from four; its answers are kept in OUT.cache/.
Else sentences come from the records of --videos or from --captions, lines of {"<video id>": ["sentence", ...]} whose
sentence i stands for the window that starts at frame 16 i. Give the set to training as --config.data.text. Run again it
makes what is missing. Exit status 0: no video failed; 1: some did (errors.jsonl); 2: it could not run.
"""

from absl import flags

from gvvad_jax import datasets, program, records
from gvvad_jax.endpoint import options

VIDEOS = flags.DEFINE_string("videos", None, "A video set.")
ROOT = flags.DEFINE_string("root", None, "A folder of raw videos; their ids are their paths without ending.")
CAPTIONS = flags.DEFINE_string("captions", None, "A caption file, instead of the captions in the records.")
WEIGHTS = flags.DEFINE_string("weights", None, "GIT's folder, or its hub name, which then writes the captions.")
CAPTIONER = flags.DEFINE_enum(
    "captioner", "git", ["git", "openai"], "What writes them: git (with --weights) or openai (a vision language model)."
)
CLIP_PIXELS = flags.DEFINE_bool(
    "clip_pixels", False, "Resize and normalise frames for GIT as CLIP does, whatever preprocessor_config.json says."
)
TEXT_WEIGHTS = flags.DEFINE_string(
    "text_weights", None, "A sentence encoder's folder or hub name (default: all-MiniLM-L6-v2)."
)
WINDOW = flags.DEFINE_integer("window", 64, "Frames that a sentence is about.", 1)
STRIDE = flags.DEFINE_integer("stride", 16, "Frames from one window's start to the next.", 1)
OUT = flags.DEFINE_string("out", None, "The text set that is made.")
options.define("a window")


def main(argv: list[str]) -> int:
    """Writes the set, prints what was made and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")
    if not OUT.value:
        raise ValueError("--out is missing: name the folder of the text set to make.")
    if VIDEOS.value and ROOT.value:
        raise ValueError("give --videos (a video set) or --root (raw files), not both.")
    if not (VIDEOS.value or CAPTIONS.value or ROOT.value):
        raise ValueError("give --videos (a video set), --captions (a caption file) or --root (raw files), see --help.")
    if WEIGHTS.value and CAPTIONS.value:
        raise ValueError("give --weights (a captioner) or --captions (a caption file), not both.")
    is_asked = CAPTIONER.value == "openai"
    if is_asked and (WEIGHTS.value or CAPTIONS.value):
        raise ValueError("--captioner=openai writes the captions itself; leave out --weights and --captions.")
    prices = options.prices()

    from gvvad_jax.features import captioner, captions, chat_captioner, encoders, sentences

    if WEIGHTS.value is None and CAPTIONS.value is None and ROOT.value and not is_asked:
        raise ValueError(f"{ROOT.value} holds no captions: {captions.NO_CAPTIONS}.")
    videos = records.reader(VIDEOS.value) if VIDEOS.value else None
    entries = datasets.entries("folder", ROOT.value) if ROOT.value else None
    encoders.use_all_cores()
    encoder = sentences.create(TEXT_WEIGHTS.value)
    spans = {"window": WINDOW.value, "stride": STRIDE.value}
    if is_asked:
        service, given, attempts = options.service(), videos or entries or [], flags.FLAGS.attempts or 0
        summary = chat_captioner.write(OUT.value, encoder, service, given, attempts=attempts, prices=prices, **spans)
    elif WEIGHTS.value:
        writer = captioner.Captioner(WEIGHTS.value, has_clip_pixels=CLIP_PIXELS.value)
        summary = captioner.write(OUT.value, encoder, writer, videos or entries or [], **spans)
    else:
        ids = [entry.id for entry in entries] if entries else None
        summary = captions.write(OUT.value, encoder, videos=videos, captions=CAPTIONS.value, ids=ids, **spans)
    if summary.report:
        print(summary.report)
    print(f"{summary} ({encoder.identity['name']}, {encoder.width} columns)")
    return summary.status


if __name__ == "__main__":
    program.run(main)
