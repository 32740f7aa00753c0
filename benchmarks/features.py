"""Images a second through EfficientNet-Lite0: ours beside the plain ways of doing it, in one run.

  python benchmarks/features.py [--images=32] [--repeats=5]

ours: batches of the encoder's fixed shape over every core, depthwise convolutions as shifted products. plain: the same
network and weights, one image at a time on one device. grouped: the same with `lax.conv`'s grouped convolutions, as a
port would write them.
"""

import statistics
import time
from collections.abc import Callable
from importlib import metadata

import jax
import numpy as np
from absl import flags
from flax import nnx

from gvvad_jax import program
from gvvad_jax.features import encoders
from gvvad_jax.models import efficientnet_lite

IMAGES = flags.DEFINE_integer("images", 32, "Images a repeat.")
REPEATS = flags.DEFINE_integer("repeats", 5, "Timed repeats after one to warm up.")


def main(argv: list[str]) -> int:
    """Prints a table."""
    del argv
    encoders.use_all_cores()
    images = np.random.default_rng(0).integers(0, 256, (IMAGES.value, 224, 224, 3), dtype=np.uint8)
    ours = encoders.create("efficientnet_lite0")
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        f"ours, batch {ours.batch} over {jax.local_device_count()} devices": ours,
        "plain, one image at a time": _one_at_a_time(lambda layer, x, kernel: layer._shifted(x, kernel)),
        "grouped, one image at a time": _one_at_a_time(lambda layer, x, kernel: layer._grouped(x, kernel)),
    }
    reference = ours(images)
    for way in ways.values():
        assert np.abs(way(images) - reference).max() < 1e-4
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS.value):
        for name, way in ways.items():  # in turn, so that a busy machine is unfair to none
            wall, process = time.perf_counter(), time.process_time()
            way(images)
            seconds[name].append(time.perf_counter() - wall)
            cpu[name].append(time.process_time() - process)
    print(f"{'':44}{'images/s':>9}{'(slowest to fastest)':>22}{'cpu ms/image':>14}")
    for name in ways:
        rates = [len(images) / s for s in seconds[name]]
        spread = f"({min(rates):.1f} to {max(rates):.1f})"
        each = 1e3 * statistics.median(cpu[name]) / len(images)
        print(f"{name:44}{statistics.median(rates):9.1f}{spread:>22}{each:14.1f}")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "jaxlib", "flax", "numpy"))
    print(f"median of {REPEATS.value}; {jax.devices()[0].device_kind}, {jax.local_device_count()} devices; {versions}")
    return 0


def _one_at_a_time(depthwise: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """The plain way: jit, a loop, one device."""

    class Plain(efficientnet_lite.Depthwise):
        """With the convolution that is asked for on any platform."""

        def __call__(self, x):
            """Not activated."""
            return depthwise(self, x, self.kernel[...]) + self.bias[...]

    model = efficientnet_lite.load()
    for block in model.blocks:
        block.depthwise.__class__ = Plain
    graph, state = nnx.split(model)
    run = jax.jit(lambda state, image: nnx.merge(graph, state)(efficientnet_lite.preprocess(image)))
    return lambda images: np.concatenate([np.asarray(run(state, image[None])) for image in images])


if __name__ == "__main__":
    program.run(main)
