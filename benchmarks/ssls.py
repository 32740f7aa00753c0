"""What each form of λ does in 1,000 steps: where λ goes, what the loss comes to, how much synthetic videos weigh.

    python benchmarks/ssls.py [--modes=per_sample,official_batch_scalar] [--forms=constant,learnt] [--seed=0]

RTFM on made-up features of 64 columns, one crop, 32 segments, in the variant whose own SSLS mode it is (per_sample:
paper, official_batch_scalar: gvvad). Videos as many as in the published list ucfg2: 800 + 187 normal and 810 + 116
anomalous ones, real + synthetic. Noise everywhere; three to six neighbouring segments of an anomalous video stand out
in one direction, of a synthetic one in a direction half like it, and synthetic videos are shifted as a whole. Every
form sees the same batches and the same dropout.
"""

import argparse
import os
import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gvvad_jax import detectors
from gvvad_jax.batch import Batch
from gvvad_jax.losses import ssls
from gvvad_jax.training import scaling
from gvvad_jax.training import state as states
from gvvad_jax.training import step as steps

WIDTH, SEGMENTS = 64, 32
COUNTS = ((800, 187), (810, 116))  # real, synthetic of the normal and the anomalous class
HELD_OUT = 64  # real videos of each class
VARIANTS = {"per_sample": "paper", "official_batch_scalar": "gvvad"}
# name -> start of λ, schedule, learnable
FORMS: dict[str, tuple[float, str | None, str | None]] = {
    "constant 0": (0.0, None, None),
    "constant 0.5": (0.5, None, None),
    "constant 1": (1.0, None, None),
    "cosine, 0.5": (0.5, "cosine", None),
    "official_cosine, 0.5": (0.5, "official_cosine", None),
    "official_step, 0.5": (0.5, "official_step", None),
    "learnt, plain, from 0.5": (0.5, None, "plain"),
    "learnt, plain, from 0.1": (0.1, None, "plain"),
    "learnt, bounded, from 0.5": (0.5, None, "bounded"),
}


def videos(rng: np.random.Generator, count: int, label: int, synthetic: int, directions: np.ndarray) -> np.ndarray:
    """Features [count, 1, L, F]; `directions`: of real events, of synthetic events, of the synthetic shift."""
    visual = rng.normal(size=(count, SEGMENTS, WIDTH))
    if synthetic:
        visual += 2 * directions[2]
    if label:
        for video in visual:
            length = rng.integers(3, 7)
            start = rng.integers(0, SEGMENTS - length + 1)
            video[start : start + length] += 4 * directions[synthetic]
    return visual[:, None].astype(np.float32)


def make(seed: int) -> tuple[list[np.ndarray], list[np.ndarray], Batch]:
    """Features and synthetic flags of each class, and a held-out batch of real videos."""
    rng = np.random.default_rng(seed)
    real, other, shift = np.linalg.qr(rng.normal(size=(WIDTH, 3)))[0].T
    directions = np.stack([real, 0.5 * real + np.sqrt(0.75) * other, shift])
    features = [
        np.concatenate([videos(rng, n, label, synthetic, directions) for synthetic, n in enumerate(counts)])
        for label, counts in enumerate(COUNTS)
    ]
    flags = [np.repeat([0, 1], counts).astype(np.int32) for counts in COUNTS]
    held = [videos(rng, HELD_OUT, label, 0, directions) for label in (0, 1)]
    return features, flags, batch(held, [np.zeros(HELD_OUT, np.int32)] * 2)


def batch(visual: list[np.ndarray], synthetic: list[np.ndarray]) -> Batch:
    """A paired batch of the videos given for each class."""
    shape = (2, len(visual[0]))
    zeros = np.zeros(shape, np.int32)
    return Batch(
        visual=np.stack(visual),
        text=None,
        mask=np.ones((*shape, SEGMENTS), bool),
        text_mask=None,
        label=np.repeat(np.arange(2, dtype=np.int32)[:, None], shape[1], 1),
        category=zeros,
        synthetic=np.stack(synthetic),
        index=zeros,
    )


def order(rng: np.random.Generator, count: int, pairs: int) -> Iterator[np.ndarray]:
    """Permutations end to end, in pieces of a batch."""
    waiting = np.zeros(0, int)
    while True:
        while len(waiting) < pairs:
            waiting = np.concatenate([waiting, rng.permutation(count)])
        yield waiting[:pairs]
        waiting = waiting[pairs:]


def train(
    program: Any, state: states.State, made: Any, mode: str, options: argparse.Namespace
) -> tuple[states.State, np.ndarray, np.ndarray, np.ndarray]:
    """The state after all steps; of each step λ, loss, and the effect: see `effect`."""
    features, flags, _ = made
    rng = np.random.default_rng(options.seed + 1)
    orders = [order(np.random.default_rng(rng.integers(2**31)), len(x), options.batch) for x in flags]
    metrics, drawn = [], []
    for _ in range(options.steps):
        chosen = [next(own) for own in orders]
        data = batch(
            [x[i] for x, i in zip(features, chosen, strict=True)], [x[i] for x, i in zip(flags, chosen, strict=True)]
        )
        state, found = program(state, data, jax.random.key(options.seed))
        metrics.append({"lambda": found["lambda"], "loss": found["loss"]})
        drawn.append(data.synthetic)
    values = jax.device_get(metrics)
    lambdas, losses = (np.array([float(row[name]) for row in values]) for name in ("lambda", "loss"))
    return state, lambdas, losses, effect(mode, np.stack(drawn), lambdas)


def effect(mode: str, synthetic: np.ndarray, lambdas: np.ndarray) -> np.ndarray:
    """Of each step: per_sample: synthetic videos' share of the weights; official_batch_scalar: the batch's factor."""
    if mode == "per_sample":
        weight = np.where(synthetic == 1, lambdas[:, None, None], 1)
        return (weight * synthetic).sum((1, 2)) / weight.sum((1, 2))
    return 1 - synthetic[:, 1].mean(1) * (1 - lambdas)


def held_out(structure: states.Structure, data: Batch) -> Callable[[states.State], float]:
    """A state's unscaled loss of held-out real videos, dropout off, running statistics."""

    @jax.jit
    def loss(params: states.Arrays, rest: states.Arrays) -> Any:
        detector = structure.detector(params, rest)
        number = jnp.ones((), jnp.int32)
        return steps.objective(detector, placed, number, synthetic_weight=1.0, mode="off", statistics="running")[0]

    placed = jax.tree.map(jnp.asarray, data)
    names = structure.names[0]
    return lambda state: float(loss({name: state.params[name] for name in names}, state.rest))


def show(mode: str, made: Any, options: argparse.Namespace) -> None:
    """One table."""
    effects = {"per_sample": "synthetic share", "official_batch_scalar": "batch factor"}
    places = sorted({max(1, options.steps // 10), max(1, options.steps // 2), options.steps})
    print(f"\n{mode} (rtfm {VARIANTS[mode]})")
    print(f"| λ | {' | '.join(f'at {n:,}' for n in places)} | training loss | {effects[mode]} | held-out real loss |")
    print("|---|" + "---|" * (len(places) + 3))
    detector = detectors.create("rtfm", detectors.Inputs(WIDTH), VARIANTS[mode], seed=options.seed)
    judge = held_out(states.split(detector)[0], made[2])
    programs: dict[Any, Any] = {}
    for name, (start, schedule, learnable) in FORMS.items():
        if not any(part in name for part in options.forms.split(",")):
            continue
        structure, state = states.create(
            detector,
            synthetic_weight=start,
            learning_rate=1e-3,
            weight_decay=5e-3,
            lambda_parameter=scaling.initial(learnable, start) if learnable else None,
        )
        if (schedule, learnable) not in programs:
            one_step = steps.pure(structure, mode, schedule, options.steps, learnable=learnable)
            programs[schedule, learnable] = jax.jit(one_step)
        state, lambdas, losses, effects_seen = train(programs[schedule, learnable], state, made, mode, options)
        at = " | ".join(f"{lambdas[n - 1]:.3f}" for n in places)
        print(
            f"| {name} | {at} | {losses[-50:].mean():.3f} | {effects_seen.mean():.3f} | {judge(state):.3f} |",
            flush=True,
        )


def main() -> None:
    """Prints a table for each mode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--modes", default=",".join(VARIANTS), help="of " + ", ".join(m for m in ssls.MODES if m != "off")
    )
    parser.add_argument("--forms", default="", help="parts of the names of forms, separated by commas; empty: all")
    for name, default in {"steps": 1000, "batch": 8, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("jax", "flax", "numpy"))
    print(f"{jax.devices()[0].device_kind}, {platform.machine()}, {os.cpu_count()} cores, {versions}")
    print(
        f"{options.steps} steps of {options.batch} pairs, seed {options.seed}. Training loss: as trained, mean of the "
        "last 50 steps; synthetic share of the weights, and factor on the batch's loss: mean over all steps."
    )
    made = make(options.seed)
    for mode in options.modes.split(","):
        show(mode, made, options)


if __name__ == "__main__":
    main()
