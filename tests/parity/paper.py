"""The `paper` variant of LAP, TEVAD and RTFM in plain PyTorch: GV-VAD, Eq. 6-9, and this project's reading of the rest.

The networks are those of `released`. Here each term is rows, the SSLS weight of each, and a coefficient:
coefficient · Σ weight·row / number of rows. A row that joins videos has the geometric mean of their weights.
"""

import dataclasses

import torch

from tests.parity import released

K = 3
MARGIN = 1.0


@dataclasses.dataclass
class Term:
    """coefficient · Σ weights·rows / len(rows)."""

    rows: torch.Tensor
    weights: torch.Tensor
    coefficient: float = 1.0

    @property
    def value(self):
        return self.coefficient * (self.weights * self.rows).sum() / self.rows.numel()


def weights(synthetic, weight: float, dtype=torch.float64):
    """λ for a synthetic video, 1 for a real one (Eq. 6)."""
    return torch.tensor([weight if s else 1.0 for s in synthetic], dtype=dtype)


def cross_entropy(score, target):
    return -(target * score.log() + (1 - target) * (1 - score).log())


def classification(scores, w):
    """Eq. 8: ŷ is the mean of the k highest scores."""
    labels = (torch.arange(len(scores)) >= len(scores) // 2).to(scores.dtype)
    return Term(cross_entropy(scores.topk(K, dim=1).values.mean(1), labels), w)


def magnitude(outputs, w, coefficient: float = 1e-4):
    half = len(w) // 2
    rows = released.pair_distance(outputs.features, outputs.magnitudes).mean(1)
    return Term(rows, (w[:half] * w[half:]).sqrt(), coefficient)


def smoothness(scores, w, coefficient: float):
    half = len(w) // 2
    return Term((scores[half:].diff(dim=1) ** 2).sum(1), w[half:], coefficient)


def sparsity(scores, w, coefficient: float):
    half = len(w) // 2
    return Term(scores[half:].norm(dim=1), w[half:], coefficient)


def flagged(similarities, w):
    """[B, T] of booleans: above mean + std, both of videos with a weight alone; those of weight 0 flag nothing."""
    counted = similarities[w > 0]
    if counted.numel() < 2:
        return torch.zeros_like(similarities, dtype=torch.bool)
    std, mean = torch.std_mean(counted)
    return (similarities > mean + std) & (w > 0)[:, None]


def pseudo_anomaly(scores, similarities, w, coefficient: float = 1e-3):
    half = len(w) // 2
    flags = flagged(similarities, w[half:]).to(scores.dtype)
    rows = cross_entropy(scores[half:], flags)
    return Term(rows, w[half:, None].expand_as(rows), coefficient)


def set_mean(rows, values, allowed, w, k: int):
    """Weighted mean of the k allowed rows [N, T, Z] with the highest values [N, T]; None where none is allowed."""
    chosen = torch.where(allowed, values, -torch.inf).flatten().argsort(descending=True, stable=True)
    chosen = chosen[: min(k, int(allowed.sum()))]
    if len(chosen) == 0:
        return None
    shares = w[:, None].expand_as(values).flatten()[chosen]
    return (shares[:, None] * rows.flatten(0, 1)[chosen]).sum(0) / shares.sum()


def multi_prompt(outputs, similarities, w, k: int, coefficient: float = 0.1):
    """max(0, ‖a − p‖ − ‖a − n‖ + 1) of three set means; λ acts inside the means alone."""
    half = len(w) // 2
    z, scores = outputs.features.mean(1), outputs.scores.detach()
    wn, wa = w[:half], w[half:]

    def everywhere(v):
        return (v > 0)[:, None].expand_as(similarities)

    sets = (
        set_mean(z[:half], -scores[:half], everywhere(wn), wn, k),
        set_mean(z[half:], -scores[half:], everywhere(wa), wa, k),
        set_mean(z[half:], similarities, flagged(similarities, wa), wa, k),
    )
    one = torch.ones(1, dtype=scores.dtype)
    if any(s is None for s in sets):
        return Term(0 * one, one, coefficient)
    a, p, n = sets
    return Term(torch.relu((a - p).norm() - (a - n).norm() + MARGIN)[None], one, coefficient)


def terms(name: str, outputs, w, text=None, prompts=None, extra=None) -> dict[str, Term]:
    """A detector's terms; extra holds the coefficients of the terms of the program that the paper does not name."""
    half, extra, scores = len(w) // 2, extra or {}, outputs.scores
    found = {"classification": classification(scores, w)}
    if name == "lap":
        similarities = released.similarity(text[half:], prompts)
        found["pseudo_anomaly"] = pseudo_anomaly(scores, similarities, w)
        found["multi_prompt"] = multi_prompt(outputs, similarities, w, len(prompts))
    if name != "lap" or "magnitude" in extra:
        found["magnitude"] = magnitude(outputs, w, extra.get("magnitude", 1e-4))
    if "smoothness" in extra:
        found["smoothness"] = smoothness(scores, w, extra["smoothness"])
    if "sparsity" in extra:
        found["sparsity"] = sparsity(scores, w, extra["sparsity"])
    return found


def gaps(outputs, w, text=None, prompts=None) -> dict[str, float]:
    """How far each selection is from another one, as in `released.gaps`."""
    half, scores = len(w) // 2, outputs.scores.detach()

    def edge(values, k):
        ordered = values.flatten().sort(descending=True).values
        return float(ordered[k - 1] - ordered[k]) if len(ordered) > k else float("inf")

    found = {
        "score": min(edge(row, K) for row in scores),
        "magnitude": min(edge(row, K) for row in outputs.magnitudes),
    }
    if prompts is not None:
        k, counted = len(prompts), w > 0
        similarities = released.similarity(text[half:], prompts)
        std, mean = torch.std_mean(similarities[counted[half:]])
        flags = flagged(similarities, w[half:])
        found["flags"] = float((similarities[counted[half:]] - mean - std).abs().min())
        found["flagged"] = float(flags.sum() - k)
        found["lowest"] = min(edge(-scores[s][counted[s]], k) for s in (slice(half), slice(half, None)))
        found["similarity"] = edge(similarities[flags], k)
    return found
