"""Records → training batches: segments of a video, streams of real and synthetic videos, batches over devices."""

from gvvad_jax.bags.batches import Stream, place, shapes, training_stream
from gvvad_jax.bags.segments import rows, segment
from gvvad_jax.bags.sets import Sets, open_sets, open_test, require_encoder
from gvvad_jax.bags.texts import Texts, require_texts

__all__ = [
    "Sets",
    "Stream",
    "Texts",
    "open_sets",
    "open_test",
    "place",
    "require_encoder",
    "require_texts",
    "rows",
    "segment",
    "shapes",
    "training_stream",
]
