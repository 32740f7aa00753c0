"""CogVideoX's transformer in double-precision NumPy, from the published tensors as they are, step by step.

`trap` turns one rule into what a reader might take it for, so that a test can see that the network tells them apart.
"""

import numpy as np

from gvvad_jax.models.cogvideox import positions

TRAPS = {
    "cosine before sine in the time step's waves": "2B",
    "shift before scale": "2B",
    "modulations of video before those of text": "2B",
    "shift before scale at the end": "2B",
    "a bias in the norms of queries and keys": "5B",
    "their epsilon of 1e-6": "5B",
    "text's queries and keys normalised too": "5B",
    "neighbouring channels turned": "5B",
    "text not turned": "5B",
    "the padding of a prompt attended to": "2B",
    "patches with the channel slowest": "5B",
    "patches over time with the channel slowest": "1.5",
    "a bias of patches over time": "1.5",
    "an image's strength of 2": "1.5 image",
}


def transformer(arrays, config, latents, text, step, trap=None):
    """[n, frames, channels, rows, columns] of what is predicted at one time step; `config`: as in the file."""
    assert trap is None or trap in TRAPS
    p = {name: array.astype(np.float64) for name, array in arrays.items()}
    heads, head = config["num_attention_heads"], config["attention_head_dim"]
    width, tall = heads * head, config.get("patch_size_t") or 1

    def linear(x, name):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(x, name, epsilon=1e-5):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + epsilon) * p[f"{name}.weight"]
        is_bare = trap == "a bias in the norms of queries and keys" and name.endswith(("norm_q", "norm_k"))
        return scaled if is_bare else scaled + p[f"{name}.bias"]

    def waves(at, size):
        angles = at * np.exp(-np.log(10000) * np.arange(size // 2) / (size // 2))
        parts = [np.cos(angles), np.sin(angles)]
        return np.concatenate(parts[::-1] if trap == "cosine before sine in the time step's waves" else parts)

    time = linear(silu(linear(waves(step, width), "time_embedding.linear_1")), "time_embedding.linear_2")
    if size := config.get("ofs_embed_dim"):
        ofs = waves(1.0 if trap == "an image's strength of 2" else 2.0, size)
        time = time + linear(silu(linear(ofs, "ofs_embedding.linear_1")), "ofs_embedding.linear_2")

    n, frames, channels, rows, columns = latents.shape
    grid = (frames // tall, rows // 2, columns // 2)
    x = latents.astype(np.float64).reshape(n, grid[0], tall, channels, grid[1], 2, grid[2], 2)
    slowest = trap not in ("patches with the channel slowest", "patches over time with the channel slowest")
    x = x.transpose(0, 1, 4, 6, *((3, 2, 5, 7) if slowest else (2, 5, 7, 3))).reshape(n, np.prod(grid), -1)
    x = x @ p["patch_embed.proj.weight"].reshape(width, -1).T
    x = x + p["patch_embed.proj.bias"] * (trap != "a bias of patches over time")
    turns = None
    if config.get("use_rotary_positional_embeddings"):
        base = config["sample_height"] // 2, config["sample_width"] // 2
        angles = positions.cropped_angles(head, *grid, *base) if tall == 1 else positions.sliced_angles(head, *grid)
        turns = np.repeat(angles.astype(np.float64), 2, axis=1)
    else:
        x = x + positions.sin_cos(width, *grid, 1.875, 1.0)
    y = linear(text.astype(np.float64), "patch_embed.text_proj")

    def split(found):
        parts = np.split(found, 6)
        if trap == "shift before scale":
            parts = [parts[i] for i in (1, 0, 2, 4, 3, 5)]
        return parts[3:] + parts[:3] if trap == "modulations of video before those of text" else parts

    def turned(part, angles):
        pairs = part.reshape(*part.shape[:-1], -1, 2)
        other = np.stack([-pairs[..., 1], pairs[..., 0]], -1).reshape(part.shape)
        if trap == "neighbouring channels turned":
            first, second = np.split(part, 2, -1)
            other = np.concatenate([-second, first], -1)
        return part * np.cos(angles)[:, None] + other * np.sin(angles)[:, None]

    for i in range(config["num_layers"]):
        block = f"transformer_blocks.{i}"
        shift, scale, gate, y_shift, y_scale, y_gate = split(linear(silu(time), f"{block}.norm1.linear"))
        video = norm(x, f"{block}.norm1.norm") * (1 + scale) + shift
        words = norm(y, f"{block}.norm1.norm") * (1 + y_scale) + y_shift
        joined = np.concatenate([words, video], 1)
        q, k, v = (linear(joined, f"{block}.attn1.to_{name}").reshape(n, -1, heads, head) for name in "qkv")
        first = y.shape[1]
        epsilon = 1e-5 if trap == "their epsilon of 1e-6" else 1e-6
        for name, part in (("q", q), ("k", k)):
            begun = first if trap == "text's queries and keys normalised too" else 0
            part[:, begun:] = norm(part[:, begun:], f"{block}.attn1.norm_{name}", epsilon)
            if turns is not None:
                part[:, first:] = turned(part[:, first:], turns)
                if trap == "text not turned":
                    part[:, :first] = turned(part[:, :first], turns[1 : first + 1])
        scores = np.einsum("nqhd,nkhd->nhqk", q, k) / np.sqrt(head)
        if trap == "the padding of a prompt attended to":
            scores[..., first - 2 : first] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = np.einsum("nhqk,nkhd->nqhd", weights / weights.sum(-1, keepdims=True), v).reshape(n, -1, width)
        mixed = linear(mixed, f"{block}.attn1.to_out.0")
        x, y = x + gate * mixed[:, first:], y + y_gate * mixed[:, :first]
        shift, scale, gate, y_shift, y_scale, y_gate = split(linear(silu(time), f"{block}.norm2.linear"))
        video = norm(x, f"{block}.norm2.norm") * (1 + scale) + shift
        words = norm(y, f"{block}.norm2.norm") * (1 + y_scale) + y_shift
        inner = linear(gelu(linear(np.concatenate([words, video], 1), f"{block}.ff.net.0.proj")), f"{block}.ff.net.2")
        x, y = x + gate * inner[:, first:], y + y_gate * inner[:, :first]

    shift, scale = np.split(linear(silu(time), "norm_out.linear"), 2)[
        :: -1 if trap == "shift before scale at the end" else 1
    ]
    x = linear(norm(norm(x, "norm_final"), "norm_out.norm") * (1 + scale) + shift, "proj_out")
    x = x.reshape(n, *grid, config["out_channels"], tall, 2, 2).transpose(0, 1, 5, 4, 2, 6, 3, 7)
    return x.reshape(n, frames, config["out_channels"], rows, columns)


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    """By the hyperbolic tangent."""
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
