"""Random detectors and batches that the detector tests share."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gvvad_jax import detectors
from gvvad_jax.batch import Batch
from gvvad_jax.losses import ssls

TEXT = 6  # columns of the sentence vectors


def _every():
    """Each detector in each variant; of variants that share all switches, and so one program, the first."""
    found = []
    for name in detectors.names():
        seen = []
        for variant in detectors.variants(name):
            if detectors.switches(name, variant) not in seen:
                seen.append(detectors.switches(name, variant))
                found.append((name, variant))
    return found


EVERY = _every()


def detector(name="rtfm", variant=None, width=12, *, generic=True, seed=0, blocks=(), **switches):
    """A detector with fitted inputs; generic: random norms and statistics too, as after training."""
    made = detectors.create(name, inputs(name, width, blocks), variant, seed, **switches)
    rng = np.random.default_rng(seed)
    made.fit_inputs([rng.normal(size=(200, width)) * 1.5 + 0.2])
    if generic:
        for path, leaf in nnx.to_flat_state(nnx.state(made, nnx.Any(nnx.Param, nnx.BatchStat))):
            if path[-1] not in ("kernel", "batches"):
                value = 0.2 * rng.normal(size=leaf.shape)
                leaf[...] = jnp.asarray(np.abs(value) + 0.7 if path[-1] in ("var", "scale") else value, jnp.float32)
    return made


def inputs(name, width=12, blocks=()):
    """What a detector of that name needs: text and a bank of three prompts where it reads text."""
    if not detectors.reads_text(name):
        return detectors.Inputs(width, blocks=blocks)
    bank = np.random.default_rng(7).normal(size=(3, TEXT)) if name == "lap" else None
    return detectors.Inputs(width, TEXT, bank, blocks)


def text_of(arrays):
    """One array of sentence vectors [T, E] a video."""
    rng = np.random.default_rng(len(arrays))
    return [rng.normal(size=(x.shape[1], TEXT)).astype(np.float32) for x in arrays]


def videos(lengths, crops=2, width=12, seed=0):
    """One array [C, T, F] a video."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(crops, n, width)).astype(np.float32) for n in lengths]


def batch(arrays, length, synthetic=None, junk=1e3):
    """Paired batch of 2B videos, normal first, padded to `length` with values that must not count."""
    half = len(arrays) // 2
    crops, _, width = arrays[0].shape
    visual = np.full((len(arrays), crops, length, width), junk, np.float32)
    text = np.full((len(arrays), length, TEXT), junk, np.float32)
    mask = np.zeros((len(arrays), length), bool)
    for i, (x, t) in enumerate(zip(arrays, text_of(arrays), strict=True)):
        visual[i, :, : x.shape[1]], text[i, : x.shape[1]], mask[i, : x.shape[1]] = x, t, True
    pair = lambda a: jnp.asarray(a).reshape(2, half, *np.shape(a)[1:])  # noqa: E731
    zeros = pair(np.zeros(len(arrays), np.int32))
    label = pair(np.repeat(np.array([0, 1], np.int32), half))
    flags = zeros if synthetic is None else pair(np.asarray(synthetic, np.int32))
    return Batch(pair(visual), pair(text), pair(mask), pair(mask), label, zeros, flags, zeros)


# Half the time to compile; what runs is as slow as it is small.
QUICK = {"xla_backend_optimization_level": 0}


@functools.partial(jax.jit, static_argnames=("graph", "statistics", "mode", "names"), compiler_options=QUICK)
def _losses(graph, params, rest, b, weight, key, coefficients, statistics, mode, names):
    def loss(p):
        made = nnx.merge(graph, p, rest, copy=True)
        outputs = made(b.visual, b.text, b.mask, b.text_mask, key=key, statistics=statistics)
        given = None if names is None else dict(zip(names, coefficients, strict=True))
        terms = made.terms(outputs, b, 0, given)
        total, values = ssls.combine(terms, b.synthetic.reshape(-1), weight, mode)
        return total, (values, outputs, nnx.state(made, nnx.Not(nnx.Param)))

    return jax.value_and_grad(loss, has_aux=True)(params)


@functools.partial(jax.jit, static_argnames=("graph", "statistics"), compiler_options=QUICK)
def _forward(graph, state, b, key, statistics):
    made = nnx.merge(graph, state, copy=True)
    return made(b.visual, b.text, b.mask, b.text_mask, key=key, statistics=statistics)


@functools.partial(jax.jit, static_argnames=("graph",), compiler_options=QUICK)
def _terms(graph, state, outputs, b, coefficients):
    return nnx.merge(graph, state, copy=True).terms(outputs, b, 0, coefficients)


def terms(made, outputs, b, coefficients=None):
    """The detector's terms in one jitted call: operation by operation they take many times longer to compile."""
    return _terms(*nnx.split(made), outputs, b, made.coefficients() if coefficients is None else coefficients)


def forward(made, b, key=None, statistics="running"):
    """The detector's outputs; its state stays as it is."""
    return _forward(*nnx.split(made), b, key, statistics)


def losses(made, b, weight=1.0, key=None, statistics="batch", mode="off", coefficients=None):
    """(total, terms, outputs, gradients, state after the step) in one jitted call."""
    graph, params, rest = nnx.split(made, nnx.Param, ...)
    names = None if coefficients is None else tuple(coefficients)
    values = () if coefficients is None else tuple(jnp.float32(v) for v in coefficients.values())
    (total, (terms, outputs, state)), gradients = _losses(
        graph, params, rest, b, jnp.float32(weight), key, values, statistics, mode, names
    )
    return total, terms, outputs, gradients, state
