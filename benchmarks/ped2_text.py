"""LAP and RTFM with SSLS on Ped2, end to end, where no captions and no generated clips are at hand.

    python benchmarks/ped2_text.py SET OUT [--seeds=3]

SET: Ped2 as README extracts it. Every second training video of each class is flagged synthetic. A stand-in for sentence
vectors: the motion columns of a snippet, standardised on normal training videos, highest over tiles, through a fixed
random matrix to 32 numbers; a stand-in for prompts: "everything moves more", and the same of each motion block alone.
It shows that the ways work together, not what text is worth.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np

from configs import ped2
from gvvad_jax import main, records
from gvvad_jax.features import prompts

TEXT = 32  # columns of the stand-in


def write(source: Path, out: Path) -> None:
    """Features with flags, text and bank beside each other in `out`."""
    reader = records.reader(source)
    motion = [b for b in reader[0].blocks if b.name != reader[0].blocks[0].name]
    columns = np.concatenate([np.arange(b.start, b.stop) for b in motion])
    training = [row for row in reader.rows if row["split"] == "train"]
    flagged = {row["id"] for label in (0, 1) for row in [r for r in training if r["label"] == label][::2]}
    normal = [reader.by_id(row["id"]).visual for row in training if row["label"] == 0]
    known = np.concatenate([x[..., columns].reshape(-1, len(columns)) for x in normal]).astype(np.float64)
    mean, scale = known.mean(0), known.std(0) + 1e-6
    matrix = np.random.default_rng(0).normal(size=(len(columns), TEXT)) / np.sqrt(len(columns))
    with records.writer(out / "set", kind="feature") as features, records.writer(out / "text", kind="text") as text:
        for record in reader:
            features.add(dataclasses.replace(record, synthetic=int(record.id in flagged)))
            moving = ((record.visual[..., columns] - mean) / scale).max(1)
            vectors = (moving @ matrix).astype(np.float32)
            text.add(records.Text(id=record.id, vectors=vectors, sentence_encoder={"name": "stand-in"}))
    of_block = [np.isin(columns, np.arange(b.start, b.stop)) for b in motion]
    rows = np.stack([np.ones(len(columns)), *of_block]) @ matrix
    prompts.write_bank(out / "bank.npz", rows, (), {"name": "stand-in"})


def run(arguments: list[str]) -> None:
    """Train both and print their figures."""
    source, out = map(Path, arguments[:2])
    seeds = int(arguments[2].removeprefix("--seeds=")) if len(arguments) > 2 else 3
    if not (out / "bank.npz").exists():
        write(source, out)
    for detector in ("lap", "rtfm"):
        config = ped2.get_config(f"detector={detector},variant=paper,features={out / 'set'}")
        config.data.text, config.data.prompts = str(out / "text"), str(out / "bank.npz")
        config.seeds, config.ssls.weight = seeds, 0.5
        summary = main.run(config, out / detector)
        figures = summary["metrics"]["last"]
        print(f"{detector} {summary['variant']}, counts {summary['counts']}")
        for name in ("auc", "auc_anomalous"):
            print(f"  {name}: {figures[name]}")


if __name__ == "__main__":
    run(sys.argv[1:])
