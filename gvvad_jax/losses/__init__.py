"""Loss terms that detectors share, and synthetic sample loss scaling."""

from gvvad_jax.losses import ssls

__all__ = ["ssls"]
