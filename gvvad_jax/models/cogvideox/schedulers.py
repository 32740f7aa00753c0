"""CogVideoX's two samplers, DDIM and the SDE form of DPM-Solver++(2M), as one table of coefficients and one step.

The table is made on the host in double precision: at the first timestep ᾱ = 0 and at the last ᾱ = 1, where logarithms
are infinite but no coefficient is. Each coefficient is then rounded to float32, and `step` rounds every product and sum
in the order that the published samplers do.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from gvvad_jax.weights import folder

CLASSES = {"ddim": "CogVideoXDDIMScheduler", "dpm": "CogVideoXDPMScheduler"}
# What a published scheduler_config.json may leave out. The last three never act, in the published samplers either.
DEFAULTS: dict[str, Any] = dict(
    num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
)
DEFAULTS |= dict(trained_betas=None, set_alpha_to_one=True, steps_offset=0, prediction_type="epsilon")
DEFAULTS |= dict(timestep_spacing="leading", rescale_betas_zero_snr=False, snr_shift_scale=3.0)
DEFAULTS |= dict(clip_sample=True, clip_sample_range=1.0, sample_max_value=1.0)
KNOWN = {
    "beta_schedule": ("scaled_linear", "linear", "squaredcos_cap_v2"),
    "prediction_type": ("v_prediction", "epsilon", "sample"),
    "timestep_spacing": ("trailing", "linspace", "leading"),
    "trained_betas": (None,),
}
NUMBERS = ("num_train_timesteps", "beta_start", "beta_end", "snr_shift_scale", "steps_offset")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Coefficients:
    """x0 = (p·x − q·output) / r; d = k·x0 − o·(x0 of the step before); x ← (a·x + b·d) + n·noise: a row a step."""

    p: Any
    q: Any
    r: Any
    k: Any
    o: Any
    a: Any
    b: Any
    n: Any


@dataclass(frozen=True)
class Plan:
    """What a run of `steps` steps needs: timesteps for the network, and coefficients to scan over."""

    timesteps: Int[np.ndarray, " steps"]
    coefficients: Coefficients

    @property
    def uses_noise(self) -> bool:
        """Whether any step adds noise: DDIM's never do, nor does a single step of DPM."""
        return bool(self.coefficients.n.any())


def load(path: str | Path) -> tuple[dict[str, Any], str]:
    """The config in a folder `scheduler/` of the diffusers layout, and the kind it names: ddim or dpm."""
    name = "scheduler_config.json"
    config = folder.component(path, name, tuple(CLASSES.values()), "a scheduler of CogVideoX")
    _checked(config, str(Path(path) / name))
    return config, next(kind for kind, name in CLASSES.items() if name == config["_class_name"])


def plan(config: Mapping[str, Any], steps: int, kind: str) -> Plan:
    """The run of `steps` steps, no more than the network was trained on, by `kind`: ddim or dpm.

    A config that asks for what neither sampler does is a ValueError.
    """
    if kind not in CLASSES:
        raise ValueError(f"scheduler {kind!r}; it is one of {', '.join(CLASSES)}.")
    found = _checked(config, "the scheduler")
    timesteps, stride = spaced(found, steps)
    alphas = cumulative(found)
    last = 1.0 if found["set_alpha_to_one"] else alphas[0]
    # Not the next timestep: where `steps` does not divide the trained ones, the last step stays short of ᾱ = 1.
    before = timesteps - stride
    now, then = alphas[timesteps], np.where(before >= 0, alphas[before], last)
    if found["prediction_type"] == "epsilon" and not now.all():
        raise ValueError(
            "the scheduler's prediction_type is epsilon, but it starts at pure noise; it needs v_prediction."
        )
    nothing, ones = np.zeros_like(now), np.ones_like(now)
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "ddim":
            a = np.sqrt((1 - then) / (1 - now))
            rows = dict(k=ones, o=nothing, a=a, b=np.sqrt(then) - np.sqrt(now) * a, n=nothing)
        else:
            rows = _second_order(now, then, before >= 0)
    p, q, r = {
        "v_prediction": (np.sqrt(now), np.sqrt(1 - now), ones),
        "epsilon": (ones, np.sqrt(1 - now), np.sqrt(now)),
        "sample": (nothing, -ones, ones),
    }[found["prediction_type"]]
    table = {name: value.astype(np.float32) for name, value in (rows | dict(p=p, q=q, r=r)).items()}
    return Plan(timesteps.astype(np.int32), Coefficients(**table))


def _second_order(now: np.ndarray, then: np.ndarray, is_inner: np.ndarray) -> dict[str, np.ndarray]:
    """DPM: first order where there is no step before, and where the step ends the run (`is_inner` false)."""
    half = [np.log(np.sqrt(alpha / (1 - alpha))) for alpha in (now, then)]
    h = half[1] - half[0]
    ratio = np.concatenate([h[:1], half[0][1:] - half[0][:-1]]) / h
    share = 1 / (2 * ratio)
    share = np.where(is_inner & (np.arange(len(now)) > 0), share, 0)
    return dict(
        k=1 + share,
        o=share,
        a=np.sqrt((1 - then) / (1 - now)) * np.exp(-h),
        b=-(np.expm1(-2 * h) * np.sqrt(then)),
        n=np.sqrt(1 - then) * np.sqrt(1 - np.exp(-2 * h)),
    )


def step(
    row: Coefficients,
    x: Float[Array, "*shape"],
    output: Float[Array, "*shape"],
    old: Float32[Array, "*shape"],
    noise: Float[Array, "*shape"] | None = None,
) -> tuple[Float[Array, "*shape"], Float32[Array, "*shape"]]:
    """The next latents, of x's dtype, and the clean ones that this step believes in.

    `row` is one step's coefficients, `old` the clean latents of the step before (of the first: zeros). x, noise and
    what they are multiplied by are of x's dtype, all else is float32. Without noise its term is left out.
    """
    # Divided as an array: XLA would multiply by a number's reciprocal, which has other last bits.
    clean = (_times(row.p, x, x) - row.q * output.astype(jnp.float32)) / jnp.broadcast_to(row.r, x.shape)
    moved = _times(row.a, x, x) + row.b * (row.k * clean - row.o * old)
    if noise is not None:
        moved = moved + _times(row.n, noise, x)
    return moved.astype(x.dtype), clean


def _times(coefficient: Any, factor: Array, x: Array) -> Array:
    return jnp.asarray(coefficient, x.dtype) * factor.astype(x.dtype)


def spaced(config: Mapping[str, Any], steps: int) -> tuple[Int[np.ndarray, " steps"], int]:
    """Timesteps in the order of the run, and how far each step goes."""
    trained = config["num_train_timesteps"]
    if not 1 <= steps <= trained:
        raise ValueError(f"{steps} sampling steps, but this network was trained on {trained}; choose 1 to {trained}.")
    stride = trained // steps
    if config["timestep_spacing"] == "linspace":
        found = np.linspace(0, trained - 1, steps).round()[::-1]
    elif config["timestep_spacing"] == "leading":
        found = (np.arange(steps) * stride)[::-1] + config["steps_offset"]
    else:
        # For some counts, such as 61, a quotient's last bit gives one timestep more, of -1: it is no part of the run.
        found = np.arange(trained, 0, -trained / steps)[:steps].round() - 1
    if found.max() >= trained or found.min() < 0:
        raise ValueError(f"steps_offset={config['steps_offset']} moves {steps} steps off the {trained} trained ones.")
    return found.astype(np.int64), stride


def cumulative(config: Mapping[str, Any]) -> Float[np.ndarray, " trained"]:
    """ᾱ of every trained timestep, in double precision where the published samplers have it, else in single."""
    count, ends = config["num_train_timesteps"], (config["beta_start"], config["beta_end"])
    if config["beta_schedule"] == "scaled_linear":
        alphas = np.cumprod(1 - np.linspace(math.sqrt(ends[0]), math.sqrt(ends[1]), count) ** 2)
    else:
        if config["beta_schedule"] == "linear":
            betas = np.linspace(*ends, count)
        else:
            curve = [math.cos((i / count + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(count + 1)]
            betas = np.array([min(1 - curve[i + 1] / curve[i], 0.999) for i in range(count)])
        alphas = np.cumprod(1 - betas.astype(np.float32), dtype=np.float64).astype(np.float32)
    shift = alphas.dtype.type(config["snr_shift_scale"])
    alphas = alphas / (shift + (1 - shift) * alphas)
    if config["rescale_betas_zero_snr"]:
        roots = np.sqrt(alphas)
        alphas = ((roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))) ** 2
    return alphas


def _checked(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    odd = sorted(key for key in config if key not in DEFAULTS and not key.startswith("_"))
    if odd:
        raise ValueError(f"{where}: {odd[0]} is nothing that this version knows; take CogVideoX's own scheduler.")
    found = DEFAULTS | {key: value for key, value in config.items() if key in DEFAULTS}
    for key, known in KNOWN.items():
        if found[key] not in known:
            raise ValueError(f"{where}: {key} is {found[key]!r}, but not one of {', '.join(map(str, known))}.")
    for key in NUMBERS:
        value, least = found[key], 0 if key == "steps_offset" else 1e-9
        kinds = (int,) if isinstance(DEFAULTS[key], int) else (int, float)
        if type(value) not in kinds or not least <= value < math.inf:
            raise ValueError(f"{where}: {key} is {value!r}, which no sampler can go by; fetch it again.")
    return found
