"""One epoch of LAP on a made-up set of the shape of UCF-Crime with generated clips (ucfg1), reading and step apart.

    python benchmarks/ucf_shape.py [--variant=paper] [--steps=34] [--folder=DIR]

2,206 videos (810 + 297 anomalous, 800 + 299 normal), ten crops, 768 + 768 columns, float16, real videos of 20 to 200
snippets, generated ones of 3, 64 segments, 32 pairs: 34 steps. Written to a temporary folder (about 2.9 GB, twice that
while it is packed) and deleted afterwards.
"""

import argparse
import resource
import shutil
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from gvvad_jax import bags, detectors, records
from gvvad_jax.training import mesh, state, step

COUNTS = {(1, 0): 810, (1, 1): 297, (0, 0): 800, (0, 1): 299}  # (label, synthetic)
CROPS, WIDTH, SEGMENTS, PAIRS = 10, 768, 64, 32


def write(folder: Path) -> None:
    """Features and text; values from one table of noise, since making fresh ones would take longer than writing."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(400, CROPS, WIDTH)).astype(np.float16)
    with records.writer(folder / "set", kind="feature", shards=8) as features:
        with records.writer(folder / "text", kind="text") as text:
            for (label, synthetic), count in COUNTS.items():
                for number in range(count):
                    snippets = 3 if synthetic else int(rng.integers(20, 201))
                    start = int(rng.integers(0, 400 - snippets))
                    id = f"{'na'[label]}{'rg'[synthetic]}{number:03}"
                    features.add(
                        records.Feature(
                            id=id,
                            dataset="ucf",
                            split="train",
                            label=label,
                            synthetic=synthetic,
                            num_frames=16 * snippets,
                            snippet_frames=16,
                            visual=noise[start : start + snippets],
                        )
                    )
                    text.add(records.Text(id=id, vectors=noise[start : start + snippets, 0]))


def run(folder: Path, variant: str, steps: int) -> None:
    """Write, train, print."""
    began = time.perf_counter()
    write(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{sum(COUNTS.values())} videos, {size / 1e9:.2f} GB, written in {time.perf_counter() - began:.0f} s")
    texts = bags.Texts([records.reader(folder / "text")])
    stream = bags.training_stream([records.reader(folder / "set")], segments=SEGMENTS, batch=PAIRS, text=texts)
    bank = np.random.default_rng(1).normal(size=(26, WIDTH))
    detector = detectors.create("lap", detectors.Inputs(WIDTH, WIDTH, bank), variant)
    structure, now = state.create(detector, synthetic_weight=0.5, learning_rate=1e-3, weight_decay=5e-3)
    devices = mesh.make(PAIRS)
    now, key = mesh.replicate(now, devices), mesh.key(0, devices)
    one_step = step.compiled(structure, devices, detectors.ssls_mode(detector))
    began, used = time.perf_counter(), time.process_time()
    reading, stepping, busy = [], [], []
    for number in range(steps):
        start = time.perf_counter()
        batch = stream[number]
        reading.append(time.perf_counter() - start)
        start, used = time.perf_counter(), time.process_time()
        now, metrics = one_step(now, bags.place(batch, devices), key)
        loss = float(metrics["loss"])
        stepping.append(time.perf_counter() - start)
        busy.append(time.process_time() - used)
        print(f"step {number + 1}: reading {reading[-1]:.2f} s, step {stepping[-1]:.2f} s, loss {loss:.4f}", flush=True)
    print(f"{variant}, {jax.device_count()} device(s), {steps} steps in {time.perf_counter() - began:.0f} s")
    print(f"compilation and first step {stepping[0]:.1f} s")
    for name, values in (("reading", reading), ("step", stepping[1:]), ("step, processor", busy[1:])):
        print(f"{name}: median {np.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})")
    print(f"largest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="paper")
    parser.add_argument("--steps", type=int, default=34)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="ucf-shape-", dir=given.folder))
    try:
        run(place, given.variant, given.steps)
    finally:
        shutil.rmtree(place)
