"""Turns descriptions into a set of video clips.

  python tools/generate.py --descriptions=descriptions.jsonl --generator=folder --root=clips --out=sets/generated
  python tools/generate.py --descriptions=descriptions.jsonl --generator=cogvideox --weights=zai-org/CogVideoX-2b \\
    --out=sets/generated --mp4=clips

With --generator=folder the clips come from any other service and lie in --root as <description id>.<ending>. Run again
it makes what is missing. Several hosts that see one file system share the list: the same command on each with
--coordinator=HOST:PORT --num_processes=N --process_id=K, or --distributed where the cluster says. OUT/preview-00000.png
shows each shard's clips. Exit status 0: every description has its clip; 1: some have none (errors.jsonl in OUT); 2: it
could not run.
"""

from pathlib import Path

from absl import flags

from gvvad_jax import hosts, program

DESCRIPTIONS = flags.DEFINE_string("descriptions", None, "The file of descriptions (tools/describe.py makes one).")
GENERATOR = flags.DEFINE_string(
    "generator", "scenes", "What makes the clips: scenes (drawn, needs nothing), cogvideox or folder."
)
ROOT = flags.DEFINE_string("root", None, "folder: where the clips lie.")
WEIGHTS = flags.DEFINE_string("weights", None, "cogvideox: a diffusers folder, or a hub name (zai-org/CogVideoX-2b).")
FRAMES = flags.DEFINE_integer(
    "frames", None, "Frames of a clip; default: scenes 160, cogvideox its model's own (others: 8n + 1).", 1
)
HEIGHT = flags.DEFINE_integer("height", None, "cogvideox: pixels; default: the model's own.", 1)
WIDTH = flags.DEFINE_integer("width", None, "cogvideox: pixels; default: the model's own.", 1)
STEPS = flags.DEFINE_integer("steps", None, "cogvideox: sampling steps; default: 50.", 1)
GUIDANCE = flags.DEFINE_float("guidance", None, "cogvideox: its scale; 1: none, in half the time; default: 6.", 0)
DYNAMIC = flags.DEFINE_enum(
    "dynamic_guidance", None, ["off", "published", "ramp"], "cogvideox: a scale for each step (docs/generate.md)."
)
SCHEDULER = flags.DEFINE_enum("scheduler", None, ["ddim", "dpm"], "cogvideox: the sampler; default: the folder's.")
NEGATIVE = flags.DEFINE_string("negative", None, "cogvideox: a prompt that guidance leads away from; default: empty.")
DTYPE = flags.DEFINE_enum(
    "dtype", None, ["float32", "bfloat16"], "cogvideox: default: float32 on a CPU, bfloat16 on accelerators."
)
TILED = flags.DEFINE_bool("tiled", False, "cogvideox: decode in tiles: less memory, other pictures.")
STEPPED = flags.DEFINE_bool(
    "stepped", False, "cogvideox: a call of the device a step, not one for all: shows how far a clip is."
)
SEED = flags.DEFINE_integer("seed", 0, "What is drawn: another seed gives other clips of the same descriptions.", 0)
MP4 = flags.DEFINE_string("mp4", None, "A folder where each clip is written as <description id>.mp4, too.")
OUT = flags.DEFINE_string("out", None, "The video set that is made.")
hosts.define_flags()


def main(argv: list[str]) -> int:
    """Makes the set, prints what was made and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")
    for flag in (DESCRIPTIONS, OUT):
        if not flag.value:
            raise ValueError(f"--{flag.name} is missing; see --help.")

    from gvvad_jax.synthesis import generators

    options = generators.Options(
        root=Path(ROOT.value) if ROOT.value else None,
        weights=WEIGHTS.value or None,
        frames=FRAMES.value,
        height=HEIGHT.value,
        width=WIDTH.value,
        steps=STEPS.value,
        guidance=GUIDANCE.value,
        dynamic_guidance=DYNAMIC.value,
        scheduler=SCHEDULER.value,
        negative=NEGATIVE.value,
        dtype=DTYPE.value,
        stepped=STEPPED.value or False,
        tiled=TILED.value or False,
        seed=SEED.value or 0,
        mp4=Path(MP4.value) if MP4.value else None,
    )
    hosts.start_by_flags()
    share = hosts.Share.of_run()
    summary = generators.generate(DESCRIPTIONS.value or "", GENERATOR.value or "", OUT.value or "", options, share)
    print(summary)
    return summary.status


if __name__ == "__main__":
    program.run(main)
