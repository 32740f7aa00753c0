"""Records → training batches: segments of a video, streams of real and synthetic videos, batches over devices."""

from gvvad_jax.bags.batches import Stream, place, shapes, training_stream
from gvvad_jax.bags.segments import rows, segment
from gvvad_jax.bags.sets import Sets, Texts, open_sets, open_test, require_encoder

__all__ = [
    "Sets",
    "Stream",
    "Texts",
    "open_sets",
    "open_test",
    "place",
    "require_encoder",
    "rows",
    "segment",
    "shapes",
    "training_stream",
]
