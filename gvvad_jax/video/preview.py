"""A copy of a video that every browser plays and whose frames lie evenly in time, as a page's moving mark needs."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av

from gvvad_jax import records
from gvvad_jax.video.snippets import Snippet

HEIGHT = 480  # at most; a page is no archive
X264 = {"preset": "veryfast", "crf": "26"}


def write(path: str | Path, snippets: Iterable[Snippet], fps: float | int | None, height: int = HEIGHT) -> None:
    """Encodes every frame of `snippets` as H.264 in an mp4 file, no higher than `height`; whole or not there at all.

    `fps=None` (pictures of unknown rate) plays at 25.
    """
    with records.atomic_write(path) as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps or 25).limit_denominator(100_000), options=X264)
        size: dict[str, int] = {}
        for frame in (frame for snippet in snippets for frame in snippet.frames):
            if not size:
                scale = min(1.0, height / len(frame))
                size = {
                    name: max(2, round(n * scale / 2) * 2)
                    for name, n in zip(("height", "width"), frame.shape, strict=False)
                }
                stream.height, stream.width, stream.pix_fmt = size["height"], size["width"], "yuv420p"
            image = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(image.reformat(**size, format="yuv420p", interpolation="AREA")))
        container.mux(stream.encode())
