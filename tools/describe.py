"""Writes pairs of descriptions, an anomalous and a normal one each, that videos are then generated from.

  python tools/describe.py --out=descriptions.jsonl
  OPENAI_API_KEY=… python tools/describe.py --describer=openai --out=descriptions.jsonl

The first needs no network. The second asks a language model, a pair a request; its answers are kept in OUT.cache/, and
run again it pays for nothing twice. Exit status 0: every pair is there; 1: some failed (errors.jsonl beside OUT); 2: it
could not run.
"""

from absl import flags

from gvvad_jax import program

OUT = flags.DEFINE_string("out", None, "The file that is written, a description a line (.jsonl).")
DESCRIBER = flags.DEFINE_string("describer", "template", "template (no network) or openai (a language model).")
COUNT = flags.DEFINE_integer("count", 300, "Pairs; the file has twice as many lines.")
SEED = flags.DEFINE_integer("seed", 0, "What is drawn: the same seed gives the same elements.")
ATTEMPTS = flags.DEFINE_integer("attempts", 5, "openai: tries for a pair, with or without an answer.")
TIMEOUT = flags.DEFINE_float("timeout", 60, "openai: seconds that a request may take.")
MODEL = flags.DEFINE_string("model", "gpt-4o", "openai: the model's name.")
BASE_URL = flags.DEFINE_string("base_url", None, "openai: any compatible service; else OPENAI_BASE_URL, else OpenAI's.")
RATE = flags.DEFINE_float("requests_per_minute", 500, "openai: no more requests than this.")
MAX_TOKENS = flags.DEFINE_integer("max_tokens", 1000, "openai: the longest answer.")
INPUT_PRICE = flags.DEFINE_float("input_price", None, "openai: what a million tokens sent cost, for the report.")
OUTPUT_PRICE = flags.DEFINE_float("output_price", None, "openai: what a million tokens answered cost, for the report.")


def main(argv: list[str]) -> int:
    """Writes the descriptions, prints what they took and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")
    if not OUT.value:
        raise ValueError("--out is missing: name the file to write, such as descriptions.jsonl.")
    price_in, price_out = INPUT_PRICE.value, OUTPUT_PRICE.value
    prices = None if price_in is None or price_out is None else (price_in, price_out)
    if (price_in is None) != (price_out is None) or (prices and not min(prices) >= 0):
        raise ValueError("give both --input_price and --output_price, 0 or more for a million tokens, or neither.")

    from gvvad_jax.synthesis import describe

    service = describe.Service(
        model=MODEL.value or "",
        base_url=BASE_URL.value,
        timeout_seconds=TIMEOUT.value or 0.0,
        requests_per_minute=RATE.value or 0.0,
        max_tokens=MAX_TOKENS.value or 0,
    )
    summary = describe.describe(
        OUT.value,
        DESCRIBER.value or "",
        count=COUNT.value or 0,
        seed=SEED.value or 0,
        service=service,
        attempts=ATTEMPTS.value or 0,
        prices=prices,
    )
    if summary.report:
        print(summary.report)
    print(summary)
    return summary.status


if __name__ == "__main__":
    program.run(main)
