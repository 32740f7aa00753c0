"""Images a second through CLIP's image tower: ours beside transformers' torch CLIP, random weights, in one run.

  python benchmarks/clip.py [--model=large] [--batch=16] [--repeats=5]          # pip install -e '.[test,parity]'

Both take the same weights and pixels and must agree. On a GPU both run in bfloat16, torch compiled.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import jax
import numpy as np
from absl import flags
from flax import nnx

from gvvad_jax import program
from gvvad_jax.models import clip

SIZES = {  # width, layers, heads, inner, patch, projection of the published image towers
    "base32": (768, 12, 12, 3072, 32, 512),
    "base16": (768, 12, 12, 3072, 16, 512),
    "large": (1024, 24, 16, 4096, 14, 768),
    "small": (64, 2, 2, 128, 32, 32),
}
MODEL = flags.DEFINE_enum("model", "large", list(SIZES), "Which published size; small: to try this program.")
BATCH = flags.DEFINE_integer("batch", 16, "Images a call.", 1)
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed calls after one to warm up.", 1)


def main(argv: list[str]) -> int:
    """Prints a table."""
    del argv
    import torch  # pyright: ignore[reportMissingImports]
    from transformers import CLIPConfig, CLIPModel  # pyright: ignore[reportMissingImports]

    on_gpu = jax.default_backend() == "gpu"
    width, layers, heads, inner, patch, projection = SIZES[MODEL.value or "large"]
    sizes = dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner)
    small = dict(hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=64, vocab_size=100)
    torch.manual_seed(0)
    theirs = CLIPModel(
        CLIPConfig(text_config=small, vision_config=sizes | {"patch_size": patch}, projection_dim=projection)
    )
    theirs = theirs.eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = clip.load(Path(folder), "bfloat16" if on_gpu else "float32")
    pixels = np.random.default_rng(0).normal(size=(BATCH.value, 224, 224, 3)).astype(np.float32)
    graph, state = nnx.split(ours)
    run = jax.jit(lambda state, x: nnx.merge(graph, state).encode_image(x))
    planar = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    if on_gpu:
        theirs, planar = theirs.to("cuda", torch.bfloat16), planar.to("cuda", torch.bfloat16)
    tower = torch.compile(theirs.get_image_features) if on_gpu else theirs.get_image_features

    def torchs() -> np.ndarray:
        with torch.inference_mode():
            found = tower(pixel_values=planar)
            return getattr(found, "pooler_output", found).float().cpu().numpy()

    placed = jax.device_put(pixels)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "ours": lambda: np.asarray(run(state, placed)),
        "torch, transformers": torchs,
    }
    first = [way() for way in ways.values()]
    error = float(np.abs(first[0] - first[1]).max() / np.abs(first[1]).max())
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS.value):
        for name, way in ways.items():  # in turn, so that a busy machine is unfair to none
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    print(f"{f'{MODEL.value}, batch {BATCH.value}':24}{'images/s':>10}{'(slowest to fastest)':>24}")
    for name in ways:
        rates = [BATCH.value / s for s in seconds[name]]
        print(f"{name:24}{statistics.median(rates):10.2f}{f'({min(rates):.2f} to {max(rates):.2f})':>24}")
    ratio = statistics.median(seconds["torch, transformers"]) / statistics.median(seconds["ours"])
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "jaxlib", "torch", "transformers"))
    print(
        f"ratio {ratio:.2f}, largest difference {error:.1e}; {jax.devices()[0].device_kind}, {_instructions()}; "
        f"{versions}"
    )
    return 0


def _instructions() -> str:
    """The widest vector instructions of the processor, which decide the ratio."""
    try:
        flags_ = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "processor unknown"
    return next((name for name in ("avx512f", "avx2") if name in flags_), "neither AVX2 nor AVX-512")


if __name__ == "__main__":
    program.run(main)
