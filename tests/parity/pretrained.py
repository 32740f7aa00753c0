"""Networks of transformers with random weights of some size, and folders of them as they are published."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")


def drawn(model, seed, std=0.3):
    """The model in evaluation mode, its weights drawn: norms about 1, the rest about 0, a scale of logits small."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        is_gain = "norm" in name.lower() and name.endswith("weight")
        torch.nn.init.normal_(parameter, mean=float(is_gain), std=std)
    return model.eval()


def saved(model, path: Path, stored="float32", shards=False):
    """A folder of the model's weights in the type `stored`; the model holds what that type left of them."""
    model.to(getattr(torch, stored)).save_pretrained(path, **{"max_shard_size": "40KB"} if shards else {})
    assert (path / "model.safetensors").is_file() != shards
    model.float()
    return path


def close(ours, theirs, what, tolerance=1e-5):
    """Relative to the array's largest magnitude."""
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else theirs
    assert np.isfinite(theirs).all() and ours.shape == theirs.shape, what
    error = np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()
    assert error <= tolerance, f"{what}: {error:.2e}"


def planar(pixels):
    """NHWC arrays as torch takes them."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, -1, -3)))
