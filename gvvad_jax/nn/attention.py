"""Scaled dot-product attention, the one place that picks how: cuDNN for half precision on a GPU where its heads suit,
a Pallas kernel for long unmasked sequences on a TPU, else plain XLA, in parts where the scores would fill the memory.

On a CPU scores go in parts that stay in cache, and are divided by their sum after the value product: 2.3 to 3 times as
fast as one einsum over the batch.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

LONG = 128  # keys from which a CPU works by parts, and a TPU by its kernel
PART = 4 << 20  # bytes of scores that a CPU's part may have; more rows, heads or queries than that go one by one
QUERIES = 206  # and so many queries at once where one head's scores are more than a part
BLOCKS = (1024, 896, 768, 640, 512)  # tokens that the TPU's kernel may take at once
LANES = 128  # and a shorter sequence is one block of so many times some whole number
WHOLE = 1 << 30  # bytes of one row's scores that an accelerator may have at once, and then of one part's
OLDEST = 8.0  # compute capability of the first GPUs (Ampere) that cuDNN's attention runs on
WIDEST = 128  # heads that every GPU's cuDNN takes; their width is a multiple of 8
HALF = (jnp.bfloat16, jnp.float16)


def attention(
    query: Float[Array, "n queries heads width"],
    key: Float[Array, "n keys heads width"],
    value: Float[Array, "n keys heads width"],
    visible: Bool[Array, "#n #queries keys"] | None = None,
    *,
    keys: int | None = None,
    platform: str | None = None,
) -> Float[Array, "n queries heads width"]:
    """softmax(query · keyᵀ / √width) · value, its softmax in float32; `visible` says which keys a query sees.

    A query that sees no key gets some mean, not NaN. `keys`: only the first so many are there, the others are padding.
    `platform`: what it is compiled for, where that is not this process's own. Not to be split by the compiler: where
    arrays lie on several devices, call it under `jax.shard_map`.
    """
    platform = platform or jax.default_backend()
    if platform == "tpu" and query.dtype in HALF and visible is None and key.shape[1] >= LONG:
        return _kernel(query, key, value, keys or key.shape[1])
    if keys is not None:
        key, value = key[:, :keys], value[:, :keys]
        visible = None if visible is None else visible[..., :keys]
    width = query.shape[-1]
    if platform == "gpu" and query.dtype in HALF and width % 8 == 0 and width <= WIDEST and _runs_cudnn():
        # cuDNN takes a mask for each query, not one for all.
        mask = (
            None
            if visible is None
            else jnp.broadcast_to(visible[:, None], (len(visible), 1, query.shape[1], key.shape[1]))
        )
        return jax.nn.dot_product_attention(query, key, value, mask=mask, implementation="cudnn")
    q, k, v = (jnp.moveaxis(x, 2, 1) for x in (query, key, value))
    if visible is not None:
        visible = jnp.broadcast_to(visible, (query.shape[0], *visible.shape[1:]))[:, None]
    scores = 4 * query.shape[2] * query.shape[1] * key.shape[1]
    if platform == "cpu" and key.shape[1] >= LONG:
        rows = _by_parts(q, k, v, visible, 2 * PART, QUERIES)
    elif scores > WHOLE:
        rows = _by_parts(q, k, v, visible, WHOLE, max(1, WHOLE // (4 * key.shape[1])))
    else:
        rows = _plain(q, k, v, visible)
    return jnp.moveaxis(rows, -3, -2)


def _runs_cudnn() -> bool:
    """Whether this process's GPU does, or one that is not here, and only compiled for, would."""
    capability = str(getattr(jax.local_devices()[0], "compute_capability", OLDEST))
    return capability[:1].isdigit() and float(capability) >= OLDEST  # of other makers' GPUs it begins with a letter


def _by_parts(q: Array, k: Array, v: Array, visible: Array | None, most: int, together: int) -> Array:
    """Row by row; where one row's scores are more bytes than `most`, head by head and so many queries `together`."""
    n, heads, queries, width = q.shape
    if 4 * heads * queries * k.shape[2] <= most or visible is not None:
        return lax.map(lambda row: _plain(*row), (q, k, v, visible))
    parts = math.ceil(queries / together)
    each = math.ceil(queries / parts)
    q = jnp.pad(q, ((0, 0), (0, 0), (0, parts * each - queries), (0, 0)))

    def head(given: tuple[Array, Array, Array]) -> Array:
        q, k, v = given
        return lax.map(lambda part: _plain(part, k, v, None), q.reshape(parts, each, width))

    rows = lax.map(head, tuple(x.reshape(n * heads, -1, width) for x in (q, k, v)))
    return rows.reshape(n, heads, parts * each, width)[:, :, :queries]


def _plain(query: Array, key: Array, value: Array, visible: Array | None) -> Array:
    """[…, tokens, width]."""
    precise = lax.Precision.HIGHEST if query.dtype == jnp.float32 else None
    scores = jnp.einsum("...qd,...kd->...qk", query, key, precision=precise, preferred_element_type=jnp.float32)
    scores = scores / query.shape[-1] ** 0.5
    if visible is not None:
        scores = jnp.where(visible, scores, jnp.finfo(scores.dtype).min)
    weights = jnp.exp(scores - scores.max(-1, keepdims=True))
    mixed = jnp.einsum(
        "...qk,...kd->...qd",
        weights.astype(value.dtype),
        value,
        precision=precise,
        preferred_element_type=jnp.float32,
    )
    return (mixed / weights.sum(-1, keepdims=True)).astype(query.dtype)


def _kernel(query: Array, key: Array, value: Array, keys: int, interpret: bool = False) -> Array:
    """The splash kernel, which never writes scores; it takes whole blocks and does not scale."""
    from jax.experimental.pallas.ops.tpu import splash_attention as splash  # a second to import, and for TPUs alone

    q, q_block = _filled(query * (1 / math.sqrt(query.shape[-1])))
    (k, k_block), (v, _) = _filled(key), _filled(value)
    kernel = splash.make_splash_mha_single_device(
        splash.MultiHeadMask([splash.FullMask((q.shape[2], k.shape[2]))] * query.shape[2]),
        block_sizes=splash.BlockSizes(
            block_q=q_block,
            block_kv=k_block,
            block_kv_compute=next((size for size in (512, 384, 256) if k_block % size == 0), k_block),
        ),
        interpret=interpret,
    )
    is_there = (jnp.arange(k.shape[2]) < keys).astype(jnp.int32)
    segments = None if keys == k.shape[2] else splash.SegmentIds(jnp.ones(q.shape[2], jnp.int32), is_there)
    rows: Any = jax.vmap(lambda q, k, v: kernel(q, k, v, segment_ids=segments))(q, k, v)
    return jnp.moveaxis(rows, 1, 2)[:, : query.shape[1]].astype(query.dtype)


def _filled(x: Array) -> tuple[Array, int]:
    """[n, heads, whole blocks, width] and the block's size."""
    spare = padded(x.shape[1]) - x.shape[1]
    return jnp.pad(jnp.moveaxis(x, 2, 1), ((0, 0), (0, 0), (0, spare), (0, 0))), _block(x.shape[1])


def padded(tokens: int) -> int:
    """So many tokens in whole blocks of the TPU's kernel."""
    return math.ceil(tokens / _block(tokens)) * _block(tokens)


def _block(tokens: int) -> int:
    """The one that leaves the least empty, the larger of equals."""
    if tokens <= BLOCKS[0]:
        return math.ceil(tokens / LANES) * LANES
    return min(BLOCKS, key=lambda size: math.ceil(tokens / size) * size)
