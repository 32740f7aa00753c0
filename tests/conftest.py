"""Shape-checks the whole suite (jaxtyping's hook with beartype) and finds real data where there is any."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Most of the suite's time is compiling small programs that run once: leave out what makes the result faster.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0 " + os.environ.get("XLA_FLAGS", "")

os.environ["HF_HUB_OFFLINE"] = "1"  # a name that is no folder must not reach for the network

install_import_hook("gvvad_jax", "beartype.beartype")

SHARED = Path(os.environ.get("GVVAD_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture
def shared() -> Path:
    """The folder of real data and reference cases, which a stranger does not have."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared folder with real data and reference cases beside the project")
    return SHARED


@pytest.fixture
def for_gpu(monkeypatch):
    """A program's text as lowered for a GPU, on a machine without one: only what jax asks about it is answered."""
    import jax
    from jax import export

    cudnn = pytest.importorskip("jax._src.cudnn.fused_attention_stablehlo")
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91000)
    monkeypatch.setattr(cudnn, "check_compute_capability", lambda capability: True)
    monkeypatch.setattr(cudnn, "is_cuda_compute_capability_equal", lambda capability: False)
    calls = [export.DisabledSafetyCheck.custom_call(f"__cudnn$fmha{kind}Softmax") for kind in ("", "ScaleBias")]

    def lowered(function, *shapes):
        return export.export(jax.jit(function), platforms=["cuda"], disabled_checks=calls)(*shapes).mlir_module()

    return lowered
