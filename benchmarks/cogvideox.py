"""Seconds a denoising step through CogVideoX's transformer: ours beside diffusers' torch, random weights, in one run.

  python benchmarks/cogvideox.py [--model=2b] [--layers=2] [--repeats=5]          # pip install -e '.[test,parity]'

On a CPU: one branch, float32, few blocks and some two thousand video tokens. On a GPU: both guidance branches at
49x480x720 in bfloat16, every block (--layers=0 there), torch with its fused attention, --compile for torch.compile.
Both take the same weights and inputs and must agree.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from flax import nnx

from gvvad_jax import program
from gvvad_jax.models.cogvideox import transformer, weights

PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12}  # bfloat16 operations a second, as the maker says
SIZES = {"2b": (30, 30, False), "5b": (48, 42, True)}  # heads, layers, rotary
MODEL = flags.DEFINE_enum("model", "2b", list(SIZES), "Width and positions of which published model.")
LAYERS = flags.DEFINE_integer("layers", 2, "Blocks; 0: all of the model.", 0)
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed steps after one to warm up.", 1)
COMPILE = flags.DEFINE_bool("compile", False, "torch.compile the torch model.")


def main(argv: list[str]) -> int:
    """Prints a table."""
    del argv
    import torch  # pyright: ignore[reportMissingImports]
    from diffusers import CogVideoXTransformer3DModel  # pyright: ignore[reportMissingImports]

    on_gpu = jax.default_backend() == "gpu"
    heads, layers, is_rotary = SIZES[MODEL.value or "2b"]
    layers = LAYERS.value or layers
    n, frames, rows, columns = (2, 13, 60, 90) if on_gpu else (1, 3, 34, 80)
    torch.manual_seed(0)
    sizes: dict[str, Any] = dict(num_attention_heads=heads, num_layers=layers, sample_frames=49)
    theirs = CogVideoXTransformer3DModel(
        **sizes, sample_height=rows, sample_width=columns, use_rotary_positional_embeddings=is_rotary
    ).eval()
    dtype = "bfloat16" if on_gpu else "float32"
    with tempfile.TemporaryDirectory() as folder:
        theirs.to(getattr(torch, dtype)).save_pretrained(folder)
        ours = weights.load(Path(folder), dtype)
    random = np.random.default_rng(0)
    latents = random.normal(size=(n, frames, 16, rows, columns)).astype(np.float32)
    text, at = random.normal(size=(n, 226, 4096)).astype(np.float32), np.full(n, 500)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "ours": _ours(ours, latents, text, at[:1], dtype),
        "torch, diffusers": _torchs(theirs, latents, text, at, dtype, on_gpu),
    }
    first = [way() for way in ways.values()]
    error = float(np.abs(first[0] - first[1]).max() / np.abs(first[1]).max())
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS.value):
        for name, way in ways.items():  # in turn, so that a busy machine is unfair to none
            start, process = time.perf_counter(), time.process_time()
            way()
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - process)
    width, tokens = heads * 64, 226 + frames * rows * columns // 4
    operations = n * layers * (24 * tokens * width**2 + 4 * tokens**2 * width)
    kind = jax.devices()[0].device_kind
    peak = next((found for name, found in PEAK.items() if name in kind), None)
    what = f"{MODEL.value}, {layers} blocks, {n} x {tokens} tokens"
    print(f"{what:40}{'s/step':>8}{'(fastest to slowest)':>24}{'cpu s':>8}")
    for name in ways:
        middle = statistics.median(wall[name])
        spread = f"({min(wall[name]):.3f} to {max(wall[name]):.3f})"
        share = "" if peak is None else f"  {operations / middle / peak:.0%} of the matrix peak"
        print(f"{name:40}{middle:8.3f}{spread:>24}{statistics.median(cpu[name]):8.2f}{share}")
    ratio = statistics.median(wall["torch, diffusers"]) / statistics.median(wall["ours"])
    names = ("jax", "jaxlib", "torch", "diffusers")
    print(
        f"ratio {ratio:.2f}, largest difference {error:.1e}; {operations / 1e12:.2f} TFLOP; {kind}{_memory(on_gpu)}; "
        f"{', '.join(f'{name} {metadata.version(name)}' for name in names)}"
    )
    return 0


def _ours(model: weights.Transformer, latents: np.ndarray, text: np.ndarray, at: np.ndarray, dtype: str) -> Any:
    places = transformer.places(model.config, latents.shape[1], *latents.shape[3:])
    graph, state = nnx.split(model.body)
    run = jax.jit(lambda state, *given: nnx.merge(graph, state)(*given))
    placed = jnp.asarray(latents, dtype), model.body.encode_text(text), model.modulator(at), jax.device_put(places)
    return lambda: np.asarray(run(state, *placed), np.float32)


def _torchs(model: Any, latents: np.ndarray, text: np.ndarray, at: np.ndarray, dtype: str, on_gpu: bool) -> Any:
    import torch  # pyright: ignore[reportMissingImports]
    from diffusers.models.embeddings import get_3d_rotary_pos_embed  # pyright: ignore[reportMissingImports]

    device = "cuda" if on_gpu else "cpu"
    model = model.to(device)
    call = torch.compile(model) if COMPILE.value else model
    given = [torch.from_numpy(x).to(device, getattr(torch, dtype)) for x in (latents, text)]
    turns, (frames, _, rows, columns) = None, latents.shape[1:]
    if model.config.use_rotary_positional_embeddings:
        grid = (rows // 2, columns // 2)
        turns = get_3d_rotary_pos_embed(64, ((0, 0), grid), grid, frames, device=device)

    def step() -> np.ndarray:
        with torch.inference_mode():
            found = call(*given, torch.from_numpy(at).to(device), image_rotary_emb=turns, return_dict=False)[0]
            return found.float().cpu().numpy()

    return step


def _memory(on_gpu: bool) -> str:
    if not on_gpu:
        return ""
    import torch  # pyright: ignore[reportMissingImports]

    ours = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**30
    return f", at most {ours:.1f} GiB ours, {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB torch's"


if __name__ == "__main__":
    program.run(main)
