"""Writes pairs of descriptions, an anomalous and a normal one each, that videos are then generated from.

  python tools/describe.py --out=descriptions.jsonl
  OPENAI_API_KEY=… python tools/describe.py --describer=openai --out=descriptions.jsonl

The first needs no network. The second asks a language model, a pair a request; its answers are kept in OUT.cache/, and
run again it pays for nothing twice. Exit status 0: every pair is there; 1: some failed (errors.jsonl beside OUT); 2: it
could not run.
"""

from absl import flags

from gvvad_jax import program
from gvvad_jax.endpoint import options

OUT = flags.DEFINE_string("out", None, "The file that is written, a description a line (.jsonl).")
DESCRIBER = flags.DEFINE_string("describer", "template", "template (no network) or openai (a language model).")
COUNT = flags.DEFINE_integer("count", 300, "Pairs; the file has twice as many lines.")
SEED = flags.DEFINE_integer("seed", 0, "What is drawn: the same seed gives the same elements.")
options.define("a pair")


def main(argv: list[str]) -> int:
    """Writes the descriptions, prints what they took and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")
    if not OUT.value:
        raise ValueError("--out is missing: name the file to write, such as descriptions.jsonl.")
    prices = options.prices()

    from gvvad_jax.synthesis import describe

    summary = describe.describe(
        OUT.value,
        DESCRIBER.value or "",
        count=COUNT.value or 0,
        seed=SEED.value or 0,
        service=options.service(),
        attempts=flags.FLAGS.attempts or 0,
        prices=prices,
    )
    if summary.report:
        print(summary.report)
    print(summary)
    return summary.status


if __name__ == "__main__":
    program.run(main)
