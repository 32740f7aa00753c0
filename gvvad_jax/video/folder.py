"""A folder of pictures as a video: names in natural order, only the kept pictures opened. Runs in the decode worker."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# Those by which datasets/files.py knows a folder of pictures: a frame with another would be left out in silence.
ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".pgm", ".ppm")
# Pillow starts other programs for some of its formats, such as EPS; an ending proves nothing.
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "PPM")


def natural_key(name: str) -> tuple:
    """Sorts frame2 before frame10."""
    parts = [part for part in re.split(r"([0-9]+)", Path(name).stem) if part]
    keys = [(1, int(part), "") if part[0] in "0123456789" else (2, 0, part.lower()) for part in parts]
    return (*keys, (0, 0, name))  # a name before its longer ones; the name itself keeps 1 and 01 apart


class Folder:
    """Iterating gives paths; `rgb` opens one; `fps` is unknown."""

    fps = None

    def __init__(self, path: Path):
        self.notes: list[str] = []
        self.size: tuple[int, int] | None = None
        self.first = ""
        pictures = [
            p for p in path.iterdir() if p.suffix.lower() in ENDINGS and not p.name.startswith(".") and p.is_file()
        ]
        if not pictures:
            raise ValueError(f"holds no picture ({' '.join(ENDINGS)})")
        self.pictures = sorted(pictures, key=lambda p: natural_key(p.name))
        self._check_names()

    def _check_names(self) -> None:
        seen: dict[str, str] = {}
        for picture in self.pictures:
            other = seen.setdefault(picture.stem, picture.name)
            if other != picture.name:
                raise ValueError(f"holds {other} and {picture.name}, two pictures of one frame; remove one kind")
        numbers = [re.search(r"([0-9]+)$", p.stem) for p in self.pictures]
        values = sorted({int(n[1]) for n in numbers if n})
        if len(values) == len(self.pictures) and values[-1] - values[0] + 1 > len(values):
            self.notes.append(f"{len(values)} pictures are numbered {values[0]} to {values[-1]}: some are missing")

    def __iter__(self) -> Iterator[Path]:
        return iter(self.pictures)

    def rgb(self, path: Path) -> np.ndarray:
        """Opens a picture as uint8 [height, width, 3], turned upright by its EXIF note."""
        try:
            with Image.open(path, formats=FORMATS) as image:
                pixels = self._pixels(image, path.name)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's readers raise almost anything on damaged files
            if isinstance(error, ValueError) and str(error).startswith(path.name):
                raise
            raise ValueError(f"{path.name} cannot be read as a picture ({type(error).__name__}: {error})") from error
        height, width = pixels.shape[:2]
        if self.size is None:
            self.size, self.first = (width, height), path.name
        elif self.size != (width, height):
            raise ValueError(
                f"{path.name} has {width}x{height} pixels but {self.first} has {self.size[0]}x{self.size[1]}; "
                "all frames of a video must have one size"
            )
        return pixels

    def _pixels(self, image: Image.Image, name: str) -> np.ndarray:
        if image.mode == "F":
            raise ValueError(f"{name} holds floating-point values; save it with 8 or 16 bits")
        if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip at 255
            grey = np.asarray(ImageOps.exif_transpose(image)).astype(np.int64)
            if grey.min() < 0 or grey.max() > 65535:
                raise ValueError(
                    f"{name} holds grey values from {grey.min()} to {grey.max()}; save it with 8 or 16 bits"
                )
            if not any(note.startswith("16-bit") for note in self.notes):
                self.notes.append("16-bit grey: 65535 is white")
            return np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=2)
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
