"""The released programs of LAP, TEVAD and RTFM in plain PyTorch, dropout off.

Written from descriptions of those programs (state-dict names, shapes, formulas), apart from this package: the tests
beside it hold the package to these functions. Every network works in float32 and in float64.

Names of tensors are those of the released checkpoints, in their order. B pairs give 2B videos, normal first; C crops,
T segments, Z the width of the fused features. What looks odd in the losses is the programs' own; a comment says so.
"""

import dataclasses

import torch
import torch.nn.functional as F
from torch import nn

K = 3  # ⌊32 / 10⌋: the programs keep 32 here even where they train on 64 segments
ROWS = 32  # rows a video of the fixed view that smoothness and sparsity are taken on


class NonLocal(nn.Module):
    """Attention over segments without softmax, divided by their number."""

    def __init__(self, width: int):
        super().__init__()
        inner = width // 2
        self.g = nn.Conv1d(width, inner, 1)
        self.W = nn.Sequential(nn.Conv1d(inner, width, 1), nn.BatchNorm1d(width))
        self.theta = nn.Conv1d(width, inner, 1)
        self.phi = nn.Conv1d(width, inner, 1)

    def forward(self, x):
        weights = self.theta(x).transpose(1, 2) @ self.phi(x) / x.shape[-1]  # [N, queries, keys]
        return self.W((weights @ self.g(x).transpose(1, 2)).transpose(1, 2)) + x


class Aggregate(nn.Module):
    """The multi-scale temporal network: [N, T, W] to [N, T, W]."""

    def __init__(self, width: int):
        super().__init__()
        quarter = width // 4
        if 4 * quarter != width:
            raise ValueError(f"width {width} is no multiple of 4")

        def branch(dilation):
            return nn.Sequential(
                nn.Conv1d(width, quarter, 3, dilation=dilation, padding=dilation), nn.ReLU(), nn.BatchNorm1d(quarter)
            )

        self.conv_1, self.conv_2, self.conv_3 = branch(1), branch(2), branch(4)
        self.conv_4 = nn.Sequential(nn.Conv1d(width, quarter, 1, bias=False), nn.ReLU())
        self.conv_5 = nn.Sequential(nn.Conv1d(width, width, 3, padding=1, bias=False), nn.ReLU(), nn.BatchNorm1d(width))
        self.non_local = NonLocal(quarter)

    def forward(self, x):
        x = x.transpose(1, 2)
        scales = [self.conv_1(x), self.conv_2(x), self.conv_3(x), self.non_local(self.conv_4(x))]
        return (self.conv_5(torch.cat(scales, 1)) + x).transpose(1, 2)


@dataclasses.dataclass
class Outputs:
    """features: [N, C, T, Z]; crop_scores: [N, C, T]."""

    features: torch.Tensor
    crop_scores: torch.Tensor

    @property
    def scores(self):
        return self.crop_scores.mean(1)

    @property
    def magnitudes(self):
        return self.features.detach().norm(dim=-1).mean(1)


class Network(nn.Module):
    """Two temporal networks and a head; RTFM is the visual one alone.

    group "both" is LAP and TEVAD; "vis" is the GV-VAD program's RTFM mode, whose text network and fc0 lie unused in its
    checkpoints (unused_fc0=False: the older ones); "rtfm" is RTFM's own program.
    """

    def __init__(self, visual: int, text: int = 0, fusion="concat", group="both", vlr=None, unused_fc0=True):
        super().__init__()
        self.fusion, self.group = fusion, group
        if vlr is not None:
            self.VLR = nn.Parameter(torch.tensor(float(vlr)))
        self.Aggregate = Aggregate(visual)
        if group != "rtfm":
            self.Aggregate_text = Aggregate(text)
        width = {"concat": visual + text, "add": text, "product": text, "add_up": visual + text}[fusion]
        if group != "both":
            width = visual
            if group == "vis" and unused_fc0:
                self.fc0 = nn.Linear(visual, visual)
        elif fusion in ("add", "product"):
            self.fc0 = nn.Linear(visual, text)
        elif fusion == "add_up":
            self.fc_vis, self.fc_text = nn.Linear(visual, width), nn.Linear(text, width)
        self.fc1, self.fc2, self.fc3 = nn.Linear(width, 512), nn.Linear(512, 128), nn.Linear(128, 1)

    def forward(self, visual, text=None) -> Outputs:
        """[N, C, T, F], [N, T', E]: as the programs do, each crop runs with a copy of the text."""
        n, crops, length, _ = visual.shape
        z = self.Aggregate(visual.flatten(0, 1))
        if self.group == "both":
            copies = text[:, None].expand(-1, crops, -1, -1).flatten(0, 1)
            z = self.fuse(z, align(self.Aggregate_text(copies), length))
        hidden = F.relu(self.fc2(F.relu(self.fc1(z))))
        scores = torch.sigmoid(self.fc3(hidden))
        return Outputs(z.unflatten(0, (n, crops)), scores.view(n, crops, length))

    def fuse(self, v, t):
        match self.fusion:
            case "concat":
                return torch.cat([v, t], -1)
            case "add":
                return F.relu(self.fc0(v)) + t
            case "product":
                return F.relu(self.fc0(v)) * t
            case _:
                return F.relu(self.fc_vis(v)) + F.relu(self.fc_text(t))


def align(text, length: int):
    """Text rows brought to the visual length: the last ones dropped, or the last d appended once more as a block."""
    missing = length - text.shape[1]
    if missing <= 0:
        return text[:, :length]
    if missing > text.shape[1]:
        raise ValueError(f"{text.shape[1]} text rows cannot stand for {length} snippets")
    return torch.cat([text, text[:, -missing:]], 1)


def similarity(text, prompts):
    """[..., E], [K, E] to [...]: cosine with the most similar prompt."""
    return F.cosine_similarity(text[..., None, :], prompts, dim=-1, eps=1e-8).amax(-1)


def flags(similarities):
    """[B, T] to 0 or 1: above mean + one (unbiased) standard deviation of the whole half batch."""
    std, mean = torch.std_mean(similarities)
    return (similarities > mean + std).to(similarities.dtype)


def top_rows(values, rows, k: int = K):
    """The rows [N, C, k, Z] at the k largest values [N, T] of each video, for every crop, and their indices."""
    chosen = values.topk(k, dim=1).indices
    index = chosen[:, None, :, None].expand(-1, rows.shape[1], -1, rows.shape[3])
    return rows.gather(2, index), chosen


def pair_distance(features, magnitudes, margin: float = 100.0):
    """(│100 − ‖mean_k zᵃ‖│ + ‖mean_k zⁿ‖)² of video i and i + B, [B, C]."""
    half = len(features) // 2
    normal, anomalous = (
        top_rows(magnitudes[s], features[s])[0].mean(2).norm(dim=-1) for s in (slice(half), slice(half, None))
    )
    return ((margin - anomalous).abs() + normal) ** 2


def triplets(outputs: Outputs, similarities, k: int):
    """Mean of max(0, d(a, p) − d(a, n) + 1) over triples paired by rank; a row joins the features of all crops."""
    half = len(outputs.features) // 2
    rows = outputs.features.transpose(1, 2).flatten(2)  # [2B, T, C·Z]
    normal, anomalous = rows[:half].flatten(0, 1), rows[half:].flatten(0, 1)
    scores = outputs.scores.detach()
    flagged = (scores[half:] * flags(similarities)).flatten()
    return F.triplet_margin_loss(
        normal[scores[:half].flatten().topk(k, largest=False).indices],
        anomalous[scores[half:].flatten().topk(k, largest=False).indices],
        anomalous[flagged.topk(k).indices],
        margin=1.0,
    )


def terms(outputs: Outputs, text=None, prompts=None, extra_loss: bool = True) -> dict[str, torch.Tensor]:
    """Every term as it enters the loss. Prompt terms where there are prompts: LAP."""
    half, length = len(outputs.features) // 2, outputs.features.shape[2]
    scores = outputs.scores
    chosen = outputs.magnitudes.topk(K, dim=1).indices
    labels = (torch.arange(2 * half) >= half).to(scores.dtype)
    found = {
        "classification": F.binary_cross_entropy(scores.gather(1, chosen).mean(1), labels),
        "magnitude": 1e-4 * pair_distance(outputs.features, outputs.magnitudes).mean(),
    }
    if not extra_loss:
        return found
    # Not one row a video: 64 segments make two columns of every second segment, and columns run on across videos.
    view = scores.reshape(2 * half * ROWS, length // ROWS)[half * ROWS :]
    found["smoothness"] = 8e-4 * ((view[1:] - view[:-1]) ** 2).sum()
    found["sparsity"] = 8e-3 * view.norm(dim=0).mean()
    if prompts is not None:
        similarities = similarity(text[half:], prompts)
        # Inverted: what is flagged is pushed to score 0.
        inverted = F.binary_cross_entropy(1 - scores[half:], flags(similarities))
        found["pseudo_anomaly"] = 1e-3 * inverted
        # The model and the trainer both multiply by 0.1.
        found["multi_prompt"] = 0.1 * (0.1 * triplets(outputs, similarities, len(prompts)))
    return found


def batch_scalar(synthetic, weight: float) -> float:
    """What the whole loss is multiplied by: only the anomalous half's flags count."""
    anomalous = synthetic[len(synthetic) // 2 :]
    return 1 - sum(anomalous) / len(anomalous) * (1 - weight)


def gaps(outputs: Outputs, text=None, prompts=None) -> dict[str, float]:
    """How far each selection is from another one: between the last chosen and the first not chosen, or between ranks.

    "flags" is the distance of the nearest similarity to the threshold, "flagged" counts above the bank's rows.
    """
    ordered = outputs.magnitudes.sort(1, descending=True).values
    found = {"magnitude": float((ordered[:, K - 1] - ordered[:, K]).min())}
    if prompts is None:
        return found
    half, k = len(outputs.features) // 2, len(prompts)
    scores = outputs.scores.detach()
    similarities = similarity(text[half:], prompts)
    std, mean = torch.std_mean(similarities)
    flag = flags(similarities)
    found["flags"] = float((similarities - mean - std).abs().min())
    found["flagged"] = float(flag.sum() - k)
    lowest = [scores[s].flatten().sort().values[: k + 1] for s in (slice(half), slice(half, None))]
    highest = (scores[half:] * flag).flatten().sort(descending=True).values[: k + 1]
    found["scores"] = min(float(v.diff().abs().min()) for v in (*lowest, highest))
    return found


def randomise(network: nn.Module, seed: int, spread: float = 3.0) -> nn.Module:
    """Xavier weights, and norms, biases and statistics that are nobody's defaults; scores spread over (0, 1)."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(x, low, high):
        with torch.no_grad():
            x.copy_(torch.rand(x.shape, generator=generator) * (high - low) + low)

    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            uniform(module.weight, 0.5, 1.5)
            uniform(module.bias, -0.3, 0.3)
            uniform(module.running_mean, -0.3, 0.3)
            uniform(module.running_var, 0.5, 1.5)
            module.num_batches_tracked.fill_(7)
        elif isinstance(module, nn.Conv1d | nn.Linear):
            inputs, outputs = (module.weight[0].numel(), module.weight[:, 0].numel())
            bound = (6 / (inputs + outputs)) ** 0.5
            uniform(module.weight, -bound, bound)
            if module.bias is not None:
                uniform(module.bias, -0.1, 0.1)
    with torch.no_grad():
        network.fc3.weight.mul_(spread)
    return network
