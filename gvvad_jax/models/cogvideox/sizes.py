"""Which sizes of clips a form can make, and the latents that each has."""

from dataclasses import dataclass

from gvvad_jax.models.cogvideox.config import Config

WHOLE = 8  # frames come by so many, and one more: an even number of latent frames would decode to another count


@dataclass(frozen=True)
class Size:
    """A clip's; `latents`: frames, channels, rows, columns as they are denoised, of which `dropped` are not decoded."""

    frames: int
    height: int
    width: int
    latents: tuple[int, int, int, int]
    dropped: int


def of(config: Config, shrink: int, frames: int | None, height: int | None, width: int | None) -> Size:
    """The size asked for, native where None; `shrink`: pixels a latent stands for. Another is a ValueError.

    Version 1.5 takes latent frames in pairs: one more is denoised where they are odd, and the first is dropped.
    """
    frames = config.sample_frames if frames is None else frames
    height = config.sample_rows * shrink if height is None else height
    width = config.sample_columns * shrink if width is None else width
    if frames < 1 or (frames - 1) % WHOLE:
        below = max(frames - 1, 0) // WHOLE * WHOLE + 1
        raise ValueError(f"a clip of {frames} frames; {WHOLE}·n + 1 can be made, such as {below} or {below + WHOLE}.")
    multiple = shrink * config.patch
    for name, pixels in (("height", height), ("width", width)):
        if pixels < 1 or pixels % multiple:
            raise ValueError(f"a {name} of {pixels} pixels; it has to be a multiple of {multiple}.")
    deep = (frames - 1) // config.compression + 1
    dropped = -deep % config.frames_together
    return Size(frames, height, width, (deep + dropped, config.outputs, height // shrink, width // shrink), dropped)
