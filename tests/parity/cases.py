"""Random checkpoints and batches, and both programs' answers to them, as the parity tests share them."""

import dataclasses

import numpy as np
import torch

from gvvad_jax import detectors
from tests.parity import released

torch.set_num_threads(1)  # its threads wait busily, which beside other workers costs more than it gains


@dataclasses.dataclass(frozen=True)
class Case:
    """One detector and the shape of its batch; seeds are chosen where a selection would hang on rounding."""

    name: str
    variant: str
    segments: int = 32
    crops: int = 5
    fusion: str = "concat"
    pairs: int = 2
    visual: int = 64
    text: int = 64
    prompts: int = 4  # rows of LAP's bank
    seed: int = 0

    def __str__(self):
        fusion = "" if self.name == "rtfm" else f"-{self.fusion}"
        return f"{self.name}-{self.variant}{fusion}-{self.segments}-segments-{self.crops}-crops-{self.visual}"

    def network(self) -> released.Network:
        """The released network in float32 with random weights, norms and statistics."""
        group = "rtfm" if self.name == "rtfm" else "both"
        return released.randomise(released.Network(self.visual, self.text, self.fusion, group), self.seed)

    def videos(self, snippets=None, text_rows=None, videos=None):
        """visual [N, C, T, F] and text [N, T', E], float32; text is None for RTFM."""
        rng = np.random.default_rng(self.seed + 1)
        n, length = videos or 2 * self.pairs, snippets or self.segments
        visual = rng.normal(size=(n, self.crops, length, self.visual)).astype(np.float32)
        text = rng.normal(size=(n, text_rows or length, self.text)).astype(np.float32)
        return visual, None if self.name == "rtfm" else text

    def bank(self):
        """LAP's prompt bank [K, E], rows as long as the published ones; None for the others."""
        rng = np.random.default_rng(self.seed + 2)
        return rng.normal(size=(self.prompts, self.text)).astype(np.float32) if self.name == "lap" else None

    def flags(self):
        """Synthetic or not, a share of each half that is not the other's; pairs of every kind where there are four."""
        return {2: [1, 1, 1, 0], 3: [1, 1, 0, 0, 1, 0], 4: [0, 1, 0, 1, 0, 0, 1, 1]}[self.pairs]

    def inputs(self) -> detectors.Inputs:
        if self.name == "rtfm":
            return detectors.Inputs(visual=self.visual)
        if self.name == "tevad":
            return detectors.Inputs(visual=self.visual, text=self.text)
        return detectors.Inputs(visual=self.visual, text=self.text, prompts=self.bank())

    def load(self, file, **switches):
        """The checkpoint in our program."""
        if self.name != "rtfm":
            switches = {"fusion": self.fusion} | switches
        return detectors.load(self.name, str(file), self.inputs(), variant=self.variant, **switches)


def save(network, file, legacy: bool = False, prefix: str = ""):
    """The state dict as the programs save it."""
    state = {prefix + name: value for name, value in network.state_dict().items()}
    torch.save(type(network.state_dict())(state), file, _use_new_zipfile_serialization=not legacy)
    return file


def tensors(*arrays, dtype=torch.float64):
    return [None if a is None else torch.as_tensor(np.asarray(a)).to(dtype) for a in arrays]


def gradients(network) -> dict[str, np.ndarray]:
    return {n: p.grad.numpy() for n, p in network.named_parameters() if p.grad is not None}


def buffers(network) -> dict[str, np.ndarray]:
    return {n: b.numpy() for n, b in network.named_buffers()}


def assert_gradients_agree(ours: dict, theirs: dict):
    """1e-4 relative a tensor, or 1e-6 of the whole gradient's norm."""
    assert set(ours) == set(theirs), set(ours) ^ set(theirs)
    whole = np.sqrt(sum((v.astype(np.float64) ** 2).sum() for v in theirs.values()))
    wrong = {}
    for name, value in theirs.items():
        assert ours[name].shape == value.shape, name
        distance = np.linalg.norm(ours[name].astype(np.float64) - value)
        if distance > max(1e-4 * np.linalg.norm(value), 1e-6 * whole):
            wrong[name] = f"off by {distance:.1e} of {np.linalg.norm(value):.1e}; the whole gradient is {whole:.1e}"
    assert not wrong, wrong


def assert_terms_agree(ours: dict, theirs: dict, scale: float = 1.0):
    """1e-5 relative, each; a term that one side leaves out must be 0 on the other."""
    for name in ours.keys() | theirs.keys():
        np.testing.assert_allclose(
            ours.get(name, 0.0), scale * float(theirs.get(name, 0.0)), rtol=1e-5, atol=1e-12, err_msg=name
        )
