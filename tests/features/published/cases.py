"""Small published features under made-up roots, and the import of them."""

import numpy as np

from gvvad_jax.features.published import importing

WIDTH = 6


def array(name, rows=4, crops=10, width=WIDTH, dtype=np.float32):
    seed = np.frombuffer(name.encode(), np.uint8).astype(np.uint32)
    return np.random.default_rng(seed).normal(size=(rows, crops, width)).astype(dtype)


def write(root, names, **shape):
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        np.save(root / f"{name}.npy", array(name, **shape))
    return root


def listed(tmp_path, *names, name="mine.list", folder="/foreign/"):
    (tmp_path / name).write_text("\n".join(f"{folder}{line}" for line in names))
    return tmp_path / name


def run(tmp_path, path, root, dataset="ucf", text=None, out="set", **options):
    options = importing.Options(dataset=dataset, **options)
    return importing.import_features(path, root, tmp_path / out, options, text)


TRAIN = ["Abuse001_x264_i3d", "Normal_Videos001_x264_i3d"]
