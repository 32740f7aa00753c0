"""The flags of programs that ask a model: the same names in each."""

from absl import flags

from gvvad_jax.endpoint.client import Service


def define(what: str) -> None:
    """Defines them; `what` is what the program asks for, as their help says it."""
    flags.DEFINE_integer("attempts", 5, f"openai: tries for {what}, with or without an answer.")
    flags.DEFINE_float("timeout", 60, "openai: seconds that a request may take.")
    flags.DEFINE_string("model", "gpt-4o", "openai: the model's name.")
    flags.DEFINE_string("base_url", None, "openai: any compatible service; else OPENAI_BASE_URL, else OpenAI's.")
    flags.DEFINE_float("requests_per_minute", 500, "openai: no more requests than this.")
    flags.DEFINE_integer("max_tokens", 1000, "openai: the longest answer.")
    flags.DEFINE_float("input_price", None, "openai: what a million tokens sent cost, for the report.")
    flags.DEFINE_float("output_price", None, "openai: what a million tokens answered cost, for the report.")


def service() -> Service:
    """The service that the flags name."""
    given = flags.FLAGS
    return Service(
        model=given.model or "",
        base_url=given.base_url,
        timeout_seconds=given.timeout or 0.0,
        requests_per_minute=given.requests_per_minute or 0.0,
        max_tokens=given.max_tokens or 0,
    )


def prices() -> tuple[float, float] | None:
    """What a million tokens cost, in and out; None where neither flag says it. One alone: ValueError."""
    price_in, price_out = flags.FLAGS.input_price, flags.FLAGS.output_price
    found = None if price_in is None or price_out is None else (price_in, price_out)
    if (price_in is None) != (price_out is None) or (found and not min(found) >= 0):
        raise ValueError("give both --input_price and --output_price, 0 or more for a million tokens, or neither.")
    return found
