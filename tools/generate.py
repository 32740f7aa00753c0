"""Turns descriptions into a set of video clips.

  python tools/generate.py --descriptions=descriptions.jsonl --generator=folder --root=clips --out=sets/generated

With --generator=folder the clips come from any other service and lie in --root as <description id>.<ending>. Run again
it makes what is missing. Exit status 0: every description has its clip; 1: some have none (errors.jsonl in OUT); 2: it
could not run.
"""

from pathlib import Path

from absl import flags

from gvvad_jax import program

DESCRIPTIONS = flags.DEFINE_string("descriptions", None, "The file of descriptions (tools/describe.py makes one).")
GENERATOR = flags.DEFINE_string("generator", "scenes", "What makes the clips: scenes (drawn, needs nothing) or folder.")
ROOT = flags.DEFINE_string("root", None, "folder: where the clips lie.")
WEIGHTS = flags.DEFINE_string("weights", None, "The folder of a generator's weights, for one that has any.")
FRAMES = flags.DEFINE_integer("frames", None, "Frames of a clip; default: the generator's own (scenes: 160).", 1)
SEED = flags.DEFINE_integer("seed", 0, "What is drawn: another seed gives other clips of the same descriptions.", 0)
OUT = flags.DEFINE_string("out", None, "The video set that is made.")


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
        weights=Path(WEIGHTS.value) if WEIGHTS.value else None,
        frames=FRAMES.value,
        seed=SEED.value or 0,
    )
    summary = generators.generate(DESCRIPTIONS.value or "", GENERATOR.value or "", OUT.value or "", options)
    print(summary)
    return summary.status


if __name__ == "__main__":
    program.run(main)
