"""What a TPU slice needs for a stage, found out on a machine that has no TPU (`pip install libtpu`).

  python tools/plan.py --stage=generate --model=5b --topology=v5e:1x1
  python tools/plan.py --stage=generate --model=1.5-5b --topology=v5e:2x4 --height=768 --width=1360 --frames=81
  python tools/plan.py --stage=extract --model=clip-large --topology=v6e:1x1 --batch=256

Each program is compiled for the slice, with weights of the published sizes that need not be there. Exit status 0: every
program fits; 1: one does not; 2: it could not plan.
"""

from absl import flags

from gvvad_jax import program
from gvvad_jax.planning import chips

STAGE = flags.DEFINE_enum("stage", "generate", ["generate", "extract"], "What the slice shall do.")
MODEL = flags.DEFINE_string(
    "model", None, "2b, 5b or 1.5-5b; extract: clip-base32, clip-base16, clip-large or clip-large-336."
)
TOPOLOGY = flags.DEFINE_string("topology", "v5e:1x1", "Such as v5e:1x1 (one chip), v5e:2x4, v5p:2x2x1, v6e:2x4.")
FRAMES = flags.DEFINE_integer("frames", None, "generate: of a clip; default: the model's own.", 1)
HEIGHT = flags.DEFINE_integer("height", None, "generate: pixels; default: the model's own.", 1)
WIDTH = flags.DEFINE_integer("width", None, "generate: pixels; default: the model's own.", 1)
STEPS = flags.DEFINE_integer("steps", 50, "generate: of denoising.", 1)
GUIDANCE = flags.DEFINE_bool("guidance", True, "generate: with a negative prompt, which doubles the work.")
BATCH = flags.DEFINE_integer("batch", 256, "extract: images a call, over all chips.", 1)


def main(argv: list[str]) -> int:
    """Prints the plan and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")

    from gvvad_jax import planning

    if STAGE.value == "generate":
        size = (FRAMES.value, HEIGHT.value, WIDTH.value)
        made = planning.generate(MODEL.value or "5b", TOPOLOGY.value or "", size, STEPS.value or 50, GUIDANCE.value)
    else:
        made = planning.extract(MODEL.value or "clip-large", TOPOLOGY.value or "", BATCH.value or 256)
    print(made)
    return made.status


if __name__ == "__main__":
    chips.prepare()
    program.run(main)
