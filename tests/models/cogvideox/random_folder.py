"""A whole diffusers folder of CogVideoX with small random weights under the published names, made without torch."""

import json
from pathlib import Path

import numpy as np
from flax import nnx
from safetensors import numpy as safetensors

from gvvad_jax.models.cogvideox import vae
from tests.models import t5_folder

HEADS, HEAD, TIME, TEXT, LATENT, PATCH = 2, 16, 16, 16, 4, 2
TRANSFORMER = dict(
    _class_name="CogVideoXTransformer3DModel",
    num_attention_heads=HEADS,
    attention_head_dim=HEAD,
    num_layers=1,
    in_channels=LATENT,
    out_channels=LATENT,
    text_embed_dim=TEXT,
    time_embed_dim=TIME,
    max_text_seq_length=226,
    patch_size=PATCH,
    patch_size_t=None,
    sample_height=4,
    sample_width=6,
    sample_frames=9,
)
ROTARY = dict(use_rotary_positional_embeddings=True)
PAIRS = ROTARY | dict(patch_size_t=2, sample_height=8, sample_width=8)
IMAGE = dict(in_channels=2 * LATENT)
FORMS = {
    "2B": {},
    "5B": ROTARY,
    "5B image": ROTARY | IMAGE | dict(use_learned_positional_embeddings=True),
    "1.5": PAIRS,
    "1.5 image": PAIRS | IMAGE | dict(ofs_embed_dim=TIME),
}
VAE = dict(
    _class_name="AutoencoderKLCogVideoX",
    block_out_channels=[8, 8, 8, 8],
    layers_per_block=1,
    latent_channels=LATENT,
    norm_num_groups=4,
    norm_eps=1e-6,
    temporal_compression_ratio=4,
    scaling_factor=1.15258426,
    sample_height=32,
    sample_width=48,
)
SCHEDULER = dict(
    _class_name="CogVideoXDDIMScheduler",
    prediction_type="v_prediction",
    rescale_betas_zero_snr=True,
    timestep_spacing="trailing",
)
T5 = dict(
    model_type="t5", feed_forward_proj="gated-gelu", vocab_size=80, d_model=TEXT, d_kv=8, d_ff=24, num_layers=1,
    num_heads=2,
)  # fmt: skip


def make(path: Path, seed: int = 0, **transformer) -> Path:
    """A folder in float32; `transformer` changes its config to another form's (see `FORMS`), or to other sizes."""
    random, config = np.random.default_rng(seed), TRANSFORMER | transformer
    _part(path / "transformer", config, _transformer(config), "diffusion_pytorch_model", random)
    _part(
        path / "vae",
        VAE | dict(invert_scale_latents=bool(config["patch_size_t"])),
        _vae(),
        "diffusion_pytorch_model",
        random,
    )
    _part(path / "text_encoder", T5, _t5(), "model", random)
    (path / "scheduler").mkdir()
    (path / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    t5_folder.make(path / "tokenizer")
    classes = {"transformer": TRANSFORMER, "vae": VAE, "scheduler": SCHEDULER}
    index = {name: ["diffusers", part["_class_name"]] for name, part in classes.items()}
    index |= {"text_encoder": ["transformers", "T5EncoderModel"], "tokenizer": ["transformers", "T5Tokenizer"]}
    (path / "model_index.json").write_text(json.dumps({"_class_name": "CogVideoXPipeline", **index}))
    return path


def _part(path: Path, config: dict, shapes: dict[str, tuple[int, ...]], stem: str, random) -> None:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config))
    arrays = {}
    for name, shape in shapes.items():
        scale = 1 / np.sqrt(max(np.prod(shape[1:]), 1)) if len(shape) > 1 else 0.1
        arrays[name] = random.normal(0, scale, shape).astype(np.float32)
        if len(shape) == 1 and name.endswith("weight"):
            arrays[name] += 1  # a norm's
    safetensors.save_file(arrays, path / f"{stem}.safetensors")


def _transformer(config: dict) -> dict[str, tuple[int, ...]]:
    width, latent, depth = HEADS * HEAD, (config["in_channels"], config["out_channels"]), config["patch_size_t"]
    patch = (depth or 1) * PATCH**2
    linear = {
        "time_embedding.linear_1": (TIME, width),
        "time_embedding.linear_2": (TIME, TIME),
        "patch_embed.proj": (width, latent[0] * patch) if depth else (width, latent[0], PATCH, PATCH),
        "patch_embed.text_proj": (width, TEXT),
        "norm_out.linear": (2 * width, TIME),
        "proj_out": (latent[1] * patch, width),
    }
    if config.get("ofs_embed_dim"):
        linear |= {f"ofs_embedding.linear_{k}": (TIME, TIME) for k in (1, 2)}
    norms = {"norm_final": width, "norm_out.norm": width}
    for i in range(config["num_layers"]):
        block = f"transformer_blocks.{i}"
        linear |= {f"{block}.norm{k}.linear": (6 * width, TIME) for k in (1, 2)}
        linear |= {f"{block}.attn1.{name}": (width, width) for name in ("to_q", "to_k", "to_v", "to_out.0")}
        linear |= {f"{block}.ff.net.0.proj": (4 * width, width), f"{block}.ff.net.2": (width, 4 * width)}
        norms |= {f"{block}.norm{k}.norm": width for k in (1, 2)} | {f"{block}.attn1.norm_{k}": HEAD for k in "qk"}
    found = {f"{name}.weight": shape for name, shape in linear.items()}
    found |= {f"{name}.bias": shape[:1] for name, shape in linear.items()}
    if config.get("use_learned_positional_embeddings"):
        grid = config["sample_height"] // PATCH * (config["sample_width"] // PATCH)
        tokens = config["max_text_seq_length"] + ((config["sample_frames"] - 1) // 4 + 1) * grid
        found["patch_embed.pos_embedding"] = (1, tokens, width)
    return found | {f"{name}.{kind}": (n,) for name, n in norms.items() for kind in ("weight", "bias")}


def _vae() -> dict[str, tuple[int, ...]]:
    """The shapes of our parameters, turned back by the table that reads them."""
    config, found = vae.Config.of(VAE, "here"), {}
    for part in vae.PARTS:
        module = vae.abstract(config, part, "float32")
        ours = {".".join(map(str, path)): v.get_value().shape for path, v in nnx.to_flat_state(nnx.state(module))}
        for row in vae.table(config, part):
            if row.target is None:
                continue
            shape = ours[row.target]
            if row.target.endswith("kernel"):
                shape = (*shape[:-3:-1], *(shape[:-2] or (1, 1, 1)))
            found[row.sources[0]] = shape
    return found


def _t5() -> dict[str, tuple[int, ...]]:
    width, inner, joined = T5["d_model"], T5["d_ff"], T5["d_kv"] * T5["num_heads"]
    found = {"shared.weight": (T5["vocab_size"], width), "encoder.final_layer_norm.weight": (width,)}
    found["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (32, T5["num_heads"])
    for i in range(T5["num_layers"]):
        block = f"encoder.block.{i}"
        found |= {f"{block}.layer.{k}.layer_norm.weight": (width,) for k in (0, 1)}
        found |= {f"{block}.layer.0.SelfAttention.{name}.weight": (joined, width) for name in "qkv"}
        found[f"{block}.layer.0.SelfAttention.o.weight"] = (width, joined)
        found |= {f"{block}.layer.1.DenseReluDense.wi_{k}.weight": (inner, width) for k in (0, 1)}
        found[f"{block}.layer.1.DenseReluDense.wo.weight"] = (width, inner)
    return found
