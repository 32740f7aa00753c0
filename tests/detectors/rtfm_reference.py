"""RTFM in float64 NumPy, from the description of the released programs, on videos as a list of arrays [C, T_i, F].

Parameters carry released names and torch's layouts. No padding and no masks exist here: a shorter video is a shorter
array. Dropout is off throughout.
"""

import numpy as np


class Network:
    """The multi-scale temporal network and head; batch statistics run over every row of every video."""

    def __init__(self, tensors, statistics):
        self.p = {name: np.asarray(value, np.float64) for name, value in tensors.items()}
        self.statistics = statistics
        self.learnt = {}

    def conv(self, xs, name, dilation=1):
        """Conv1d of [out, in, k], zero padding dilation * (k - 1) / 2."""
        w, b = self.p[f"{name}.weight"], self.p.get(f"{name}.bias", 0)
        out = []
        for x in xs:
            crops, length, width = x.shape
            reach = dilation * (w.shape[2] - 1) // 2
            padded = np.zeros((crops, length + 2 * reach, width))
            padded[:, reach : reach + length] = x
            y = sum(padded[:, j * dilation : j * dilation + length] @ w[:, :, j].T for j in range(w.shape[2]))
            out.append(y + b)
        return out

    def norm(self, xs, name):
        """BatchNorm1d, eps 1e-5, momentum 0.1; biased variance inside, unbiased kept."""
        weight, bias = self.p[f"{name}.weight"], self.p[f"{name}.bias"]
        mean, var = self.p[f"{name}.running_mean"], self.p[f"{name}.running_var"]
        if self.statistics == "batch":
            rows = np.concatenate([x.reshape(-1, x.shape[-1]) for x in xs])
            self.learnt[f"{name}.running_mean"] = 0.9 * mean + 0.1 * rows.mean(0)
            self.learnt[f"{name}.running_var"] = 0.9 * var + 0.1 * rows.var(0, ddof=1)
            mean, var = rows.mean(0), rows.var(0)
        return [(x - mean) / np.sqrt(var + 1e-5) * weight + bias for x in xs]

    def relu(self, xs):
        return [np.maximum(x, 0) for x in xs]

    def non_local(self, xs):
        theta, phi, g = (self.conv(xs, f"Aggregate.non_local.{n}") for n in ("theta", "phi", "g"))
        y = [(t @ p.transpose(0, 2, 1) / t.shape[1]) @ v for t, p, v in zip(theta, phi, g, strict=True)]
        y = self.norm(self.conv(y, "Aggregate.non_local.W.0"), "Aggregate.non_local.W.1")
        return [a + b for a, b in zip(y, xs, strict=True)]

    def aggregate(self, xs):
        branches = [
            self.norm(self.relu(self.conv(xs, f"Aggregate.conv_{i}.0", d)), f"Aggregate.conv_{i}.2")
            for i, d in ((1, 1), (2, 2), (3, 4))
        ]
        branches.append(self.non_local(self.relu(self.conv(xs, "Aggregate.conv_4.0"))))
        joined = [np.concatenate(parts, -1) for parts in zip(*branches, strict=True)]
        y = self.norm(self.relu(self.conv(joined, "Aggregate.conv_5.0")), "Aggregate.conv_5.2")
        return [a + b for a, b in zip(y, xs, strict=True)]

    def __call__(self, xs):
        """Features z [C, T, F] and crop scores [C, T] of each video."""
        z = self.aggregate([np.asarray(x, np.float64) for x in xs])
        h = z
        for name in ("fc1", "fc2", "fc3"):
            h = [x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"] for x in h]
            h = self.relu(h) if name != "fc3" else h
        return z, [1 / (1 + np.exp(-x[..., 0])) for x in h]


def loss_terms(variant, z, crop_scores, k=3):
    """Every term of a variant, coefficients inside; the first half of the videos is normal."""
    half = len(z) // 2
    scores = [s.mean(0) for s in crop_scores]
    magnitudes = [np.linalg.norm(v, axis=-1).mean(0) for v in z]
    by_score = [np.argsort(-s, kind="stable")[:k] for s in scores]
    by_magnitude = [np.argsort(-m, kind="stable")[:k] for m in magnitudes]
    video = [s[i].mean() for s, i in zip(scores, by_score if variant == "paper" else by_magnitude, strict=True)]
    bce = [-np.log(1 - s) for s in video[:half]] + [-np.log(s) for s in video[half:]]
    length = [np.linalg.norm(v[:, i].mean(1), axis=-1) for v, i in zip(z, by_magnitude, strict=True)]  # [C] each
    pairs = [(np.abs(100 - length[half + i]) + length[i]) ** 2 for i in range(half)]
    terms = {"classification": np.mean(bce), "magnitude": 1e-4 * np.mean(pairs)}
    if variant == "official":
        v = np.stack(scores)[..., None].reshape(2 * half * 32, -1)[half * 32 :]
        shifted = np.zeros_like(v)
        shifted[:-1], shifted[-1] = v[1:], v[-1]
        terms["smoothness"] = 8e-4 * ((shifted - v) ** 2).sum()
        terms["sparsity"] = 8e-3 * np.linalg.norm(v, axis=0).mean()
    return terms
