"""Weakly supervised video anomaly detection helped by generated video (GV-VAD), in JAX and Flax."""

__version__ = "0.1.0"
