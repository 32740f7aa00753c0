"""A small random BERT as a folder in the Hugging Face layout, with a vocabulary of a few words."""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy

WORDS = "[PAD] [UNK] [CLS] [SEP] a man walks falls runs car burns two people fight the street is empty ##s .".split()


def make(path: Path, width: int = 16, positions: int = 64, seed: int = 0) -> Path:
    path.mkdir(parents=True)
    config = {
        "model_type": "bert",
        "vocab_size": len(WORDS),
        "hidden_size": width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 2 * width,
        "max_position_embeddings": positions,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }
    (path / "config.json").write_text(json.dumps(config))
    (path / "vocab.txt").write_text("\n".join(WORDS))
    random = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}

    def add(name: str, *shape: int) -> None:
        tensors[name] = random.normal(0, 0.4, shape).astype(np.float32)

    def norm(name: str) -> None:
        add(f"{name}.weight", width)
        add(f"{name}.bias", width)

    def linear(name: str, inputs: int = width, outputs: int = width) -> None:
        add(f"{name}.weight", outputs, inputs)
        add(f"{name}.bias", outputs)

    for name, rows in (("word", len(WORDS)), ("position", positions), ("token_type", 2)):
        add(f"embeddings.{name}_embeddings.weight", rows, width)
    norm("embeddings.LayerNorm")
    for i in range(2):
        layer = f"encoder.layer.{i}"
        for name in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{name}")
        linear(f"{layer}.attention.output.dense")
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", width, 2 * width)
        linear(f"{layer}.output.dense", 2 * width, width)
        norm(f"{layer}.output.LayerNorm")
    linear("pooler.dense")
    safetensors.numpy.save_file(tensors, path / "model.safetensors")
    return path
