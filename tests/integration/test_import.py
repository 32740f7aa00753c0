"""tools/import_features.py as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from gvvad_jax import records

ROOT = Path(__file__).parents[2]


def command(*flags):
    return [sys.executable, str(ROOT / "tools" / "import_features.py"), *map(str, flags)]


def run(*flags):
    # Not at the top: the package is installed, and a clone's modules must not be found by chance.
    return subprocess.run(command(*flags), capture_output=True, text=True, cwd=ROOT / "tests")


def test_both_shanghaitech_lists_become_the_weak_split(tmp_path, shared):
    data = shared / "data"
    root = tmp_path / "features"
    subprocess.run([sys.executable, data / "shanghaitech_tracks" / "make_features.py", root], check=True)
    labels = json.loads((data / "shanghaitech_annotations" / "labels.json").read_text())
    for split, counts in (("train", (63, 175)), ("test", (44, 155))):
        listed = data / "shanghaitech_annotations" / f"shanghai-i3d-{split}-10crop.list"
        done = run("--dataset=shanghaitech", f"--list={listed}", f"--root={root}", f"--out={tmp_path / split}")
        assert done.returncode == 0, done.stderr
        assert f"{counts[0]} anomalous, {counts[1]} normal" in done.stdout and done.stdout.count("\n") == 1
        reader = records.reader(tmp_path / split)
        assert {row["id"] for row in reader.rows} == {id for id, row in labels.items() if row["split"] == split}
        for record in reader:
            raw = np.load(root / f"{record.id}.npy")
            assert record.visual.dtype == np.float16 and np.array_equal(record.visual, raw)
            row = labels[record.id]
            assert (record.label, record.split, record.synthetic) == (row["label"], split, 0)
            if row["label"]:
                assert record.num_frames == row["num_frames"]
                assert [list(interval) for interval in record.intervals] == row["intervals"]
            else:
                assert record.num_frames == 16 * len(raw) and record.intervals == []
