"""A small random GIT as a folder in the Hugging Face layout, with the vocabulary of the small BERT."""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy

from tests.features.bert_folder import WORDS


def make(path: Path, width: int = 16, size: int = 16, patch: int = 8, frames: int = 6, positions: int = 12) -> Path:
    path.mkdir(parents=True)
    vision = {"hidden_size": width, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 2 * width}
    config = {
        "model_type": "git",
        "vision_config": vision | {"image_size": size, "patch_size": patch},
        "vocab_size": len(WORDS),
        "hidden_size": width,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 2 * width,
        "max_position_embeddings": positions,
        "num_image_with_embedding": frames,
        "bos_token_id": WORDS.index("[CLS]"),
        "eos_token_id": WORDS.index("[SEP]"),
        "pad_token_id": WORDS.index("[PAD]"),
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "vocab.txt").write_text("\n".join(WORDS))
    settings = {"image_processor_type": "VideoMAEImageProcessor", "size": {"shortest_edge": size}}
    settings["crop_size"] = {"height": size, "width": size}
    (path / "preprocessor_config.json").write_text(json.dumps(settings))
    random = np.random.default_rng(2)
    tensors: dict[str, np.ndarray] = {}

    def add(name: str, *shape: int) -> None:
        tensors[name] = random.normal(0, 0.7, shape).astype(np.float32)

    def norm(name: str) -> None:
        add(f"{name}.weight", width)
        add(f"{name}.bias", width)

    def linear(name: str, inputs: int = width, outputs: int = width) -> None:
        add(f"{name}.weight", outputs, inputs)
        add(f"{name}.bias", outputs)

    tower = "git.image_encoder.vision_model"
    add(f"{tower}.embeddings.class_embedding", width)
    add(f"{tower}.embeddings.patch_embedding.weight", width, 3, patch, patch)
    add(f"{tower}.embeddings.position_embedding.weight", (size // patch) ** 2 + 1, width)
    for name in ("pre_layrnorm", "post_layernorm", "encoder.layers.0.layer_norm1", "encoder.layers.0.layer_norm2"):
        norm(f"{tower}.{name}")
    for name in ("k_proj", "out_proj", "q_proj", "v_proj"):
        linear(f"{tower}.encoder.layers.0.self_attn.{name}")
    linear(f"{tower}.encoder.layers.0.mlp.fc1", width, 2 * width)
    linear(f"{tower}.encoder.layers.0.mlp.fc2", 2 * width, width)
    for i in range(frames):
        add(f"git.img_temperal_embedding.{i}", 1, 1, width)
    linear("git.visual_projection.visual_projection.0")
    norm("git.visual_projection.visual_projection.1")
    add("git.embeddings.word_embeddings.weight", len(WORDS), width)
    add("git.embeddings.position_embeddings.weight", positions, width)
    norm("git.embeddings.LayerNorm")
    for i in range(2):
        layer = f"git.encoder.layer.{i}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            linear(f"{layer}.attention.{name}")
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", width, 2 * width)
        linear(f"{layer}.output.dense", 2 * width, width)
        norm(f"{layer}.output.LayerNorm")
    linear("output", width, len(WORDS))
    safetensors.numpy.save_file(tensors, path / "model.safetensors")
    return path
