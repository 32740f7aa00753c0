"""Records → training batches: segments of a video, streams of real and synthetic videos, batches over devices."""

from gvvad_jax.bags.batches import Stream, place, training_stream
from gvvad_jax.bags.segments import rows, segment

__all__ = ["Stream", "place", "rows", "segment", "training_stream"]
