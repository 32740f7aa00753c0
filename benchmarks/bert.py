"""Sentences a second through BERT: ours beside transformers' torch BERT, random weights, in one run.

  python benchmarks/bert.py [--model=base] [--batch=64] [--tokens=32]          # needs the extra: parity

Both take the same weights and ids and must agree.
"""

import statistics
import tempfile
import time
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from flax import nnx

from gvvad_jax import program
from gvvad_jax.models import bert

SIZES = {"base": (768, 12, 12, 3072), "minilm": (384, 6, 12, 1536)}  # width, layers, heads, inner
MODEL = flags.DEFINE_enum("model", "base", list(SIZES), "SimCSE's size, or all-MiniLM-L6's.")
BATCH = flags.DEFINE_integer("batch", 64, "Sentences a call.", 1)
TOKENS = flags.DEFINE_integer("tokens", 32, "Tokens a sentence.", 1)
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed calls after one to warm up.", 1)


def main(argv: list[str]) -> int:
    """Prints a table."""
    del argv
    import torch  # pyright: ignore[reportMissingImports]
    from transformers import BertConfig, BertModel  # pyright: ignore[reportMissingImports]

    width, layers, heads, inner = SIZES[MODEL.value or "base"]
    sizes = dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner)
    torch.manual_seed(0)
    theirs = BertModel(BertConfig(**sizes)).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = bert.load(folder)
    ids = np.random.default_rng(0).integers(1000, 30000, (BATCH.value, TOKENS.value)).astype(np.int32)
    mask = np.ones_like(ids)
    graph, state = nnx.split(ours)
    run = jax.jit(lambda state, ids, mask: nnx.merge(graph, state).sentence_vectors(ids, mask, "pooler"))
    rows, seen = jnp.asarray(ids), jnp.asarray(mask)

    def torchs() -> np.ndarray:
        with torch.inference_mode():
            return theirs(torch.from_numpy(ids).long(), torch.from_numpy(mask)).pooler_output.numpy()

    ways = {"ours": lambda: np.asarray(run(state, rows, seen)), "torch, transformers": torchs}
    first = [way() for way in ways.values()]
    error = float(np.abs(first[0] - first[1]).max() / np.abs(first[1]).max())
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS.value):
        for name, way in ways.items():  # in turn, so that a busy machine is unfair to none
            start, process = time.perf_counter(), time.process_time()
            way()
            seconds[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - process)
    what = f"{MODEL.value}, {BATCH.value} x {TOKENS.value} tokens"
    print(f"{what:28}{'sentences/s':>12}{'(slowest to fastest)':>24}{'cpu s':>8}")
    for name in ways:
        rates = [BATCH.value / s for s in seconds[name]]
        spread = f"({min(rates):.1f} to {max(rates):.1f})"
        print(f"{name:28}{statistics.median(rates):12.1f}{spread:>24}{statistics.median(cpu[name]):8.2f}")
    ratio = statistics.median(seconds["torch, transformers"]) / statistics.median(seconds["ours"])
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "jaxlib", "torch", "transformers"))
    print(f"ratio {ratio:.2f}, largest difference {error:.1e}; {jax.devices()[0].device_kind}; {versions}")
    return 0


if __name__ == "__main__":
    program.run(main)
