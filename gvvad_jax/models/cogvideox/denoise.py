"""The denoising loop: guidance, the scheduler's step and noise around the transformer, as one compiled program.

All steps are one scan, whose body is traced once; or, `stepped`, one program a step that is called again and again.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from gvvad_jax.models.cogvideox import guidance, schedulers
from gvvad_jax.models.cogvideox.layout import Layout
from gvvad_jax.models.cogvideox.transformer import Modulation, Places


class Given(NamedTuple):
    """What does not change over the steps; of n rows, those of the negative prompt come first where there is one."""

    text: Float[Array, "n tokens inputs"]
    image: Float[Array, "videos frames channels rows columns"] | None  # latents of the first frame, then zeros
    keys: Array | None  # a random key a video, where noise is drawn
    places: Places


class Row(NamedTuple):
    """What changes from step to step; in a run each has a leading axis of steps."""

    number: Any
    coefficients: schedulers.Coefficients
    modulation: Modulation
    scale: Any  # of guidance
    noise: Float[Array, "videos frames channels rows columns"] | None


Carry = tuple[Array, Array]  # the latents, and the clean ones believed in at the step before


def run(
    graph: nnx.GraphDef,
    layout: Layout,
    state: nnx.State,
    given: Given,
    rows: Row,
    latents: Float[Array, "videos frames channels rows columns"],
    *,
    stepped: bool = False,
    told: Callable[[int], None] | None = None,
) -> Float[Array, "videos frames channels rows columns"]:
    """From noise to what is decoded; `rows` has every step, `told` hears of each that `stepped` has ended."""
    # Copies, for they are given away; where steps leave them, or the second step would be another program.
    begun = jax.device_put((latents, jnp.zeros(latents.shape, jnp.float32)), layout.everywhere, may_alias=False)
    if not stepped:
        return scanned(graph, layout, state, given, rows, begun)[0]
    text = _text(graph, state, given.text)
    for i in range(len(rows.scale)):
        row = jax.tree.map(lambda x, i=i: x[i], rows)
        begun = _stepped(graph, layout, state, given._replace(text=text), row, begun)
        if told is not None:
            jax.block_until_ready(begun)
            told(i)
    return begun[0]


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=5)
def scanned(graph: nnx.GraphDef, layout: Layout, state: nnx.State, given: Given, rows: Row, begun: Carry) -> Carry:
    """All steps as one program; `begun` is given away."""
    body = nnx.merge(graph, state)
    given = given._replace(text=body.encode_text(given.text))
    ended, _ = lax.scan(lambda carry, row: (step(body, layout, given, row, carry), None), begun, rows)
    return jax.tree.map(layout.whole, ended)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=5)
def _stepped(graph: nnx.GraphDef, layout: Layout, state: nnx.State, given: Given, row: Row, begun: Carry) -> Carry:
    return jax.tree.map(layout.whole, step(nnx.merge(graph, state), layout, given, row, begun))


@functools.partial(jax.jit, static_argnums=0)
def _text(graph: nnx.GraphDef, state: nnx.State, vectors: Array) -> Array:
    return nnx.merge(graph, state).encode_text(vectors)


def step(body: Any, layout: Layout, given: Given, row: Row, carry: Carry) -> Carry:
    """One step of all rows; `given.text` is encoded."""
    x, old = carry
    inputs = x if given.image is None else jnp.concatenate([x, given.image.astype(x.dtype)], 2)
    branches = given.text.shape[0] // x.shape[0]
    modulation = jax.tree.map(lambda part: part[None], row.modulation)
    found = body(jnp.concatenate([inputs] * branches), given.text, modulation, given.places, layout)
    found = found.astype(jnp.float32)
    if branches == 2:
        negative, positive = jnp.split(found, 2)
        found = guidance.joined(negative, positive, row.scale)
    noise = row.noise
    if given.keys is not None:
        own = jax.vmap(jax.random.fold_in, in_axes=(0, None))(given.keys, row.number)
        noise = jax.vmap(functools.partial(jax.random.normal, shape=x.shape[1:]))(own)
    return schedulers.step(row.coefficients, x, found, old, noise)
