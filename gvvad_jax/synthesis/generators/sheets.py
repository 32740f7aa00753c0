"""Preview sheets of a video set, one PNG a shard beside it: a row a clip, with a few frames and what it should show."""

import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gvvad_jax import program, records
from gvvad_jax.records import Video
from gvvad_jax.video import decode

SHOWN, HEIGHT, WIDTH, GAP = 5, 90, 160, 6  # frames a clip; pixels: of a frame at most, between rows
WORDS, LETTERS, LINES = 460, 66, 5  # pixels beside the frames, letters and lines that fit there
MOST = 300  # rows: a taller picture few viewers open
INK, PALE, PAPER = "#23272e", "#6b7280", "#ffffff"


def path_of(folder: Path, shard: int) -> Path:
    """Where the sheet of the set's shard of this number lies."""
    return folder / f"preview-{shard:05d}.png"


def write(folder: Path, again: bool) -> None:
    """Draws the sheets of the set `folder` that are not there yet, or with `again` all of them."""
    reader = records.reader(folder)
    shards = [entry["file"] for entry in reader.manifest["shards"]]
    todo = [n for n in range(len(shards)) if again or not path_of(folder, n).exists()]
    if not todo:
        return
    with decode.Decoder() as decoder:
        for number in program.progress(todo, "preview", unit="sheet"):
            view = reader.select(lambda row, shard=shards[number]: row["shard"] == shard)
            sheet = _sheet(view, decoder)
            with records.atomic_write(path_of(folder, number)) as file:
                sheet.save(file, "PNG")


def _sheet(clips: records.Reader, decoder: decode.Decoder) -> Image.Image:
    shown = clips[:MOST]
    left = SHOWN * WIDTH + 2 * GAP
    sheet = Image.new("RGB", (left + WORDS, GAP + (HEIGHT + GAP) * len(shown)), PAPER)
    pen, fonts = ImageDraw.Draw(sheet), _fonts()
    for i, clip in enumerate(shown):
        top = GAP + i * (HEIGHT + GAP)
        for k, picture in enumerate(_pictures(clip, decoder)):
            sheet.paste(picture, (GAP + k * WIDTH + (WIDTH - picture.width) // 2, top + (HEIGHT - picture.height) // 2))
        what = clip.category or ("normal", "anomalous")[clip.label]
        if i == MOST - 1 and len(clips) > MOST:
            what += f" (and {len(clips) - MOST} clips more)"
        pen.text((left, top), f"{clip.id}: {what}", INK, fonts[1])
        lines = textwrap.wrap(str(clip.source.get("text", "")), LETTERS, max_lines=LINES, placeholder=" …")
        pen.multiline_text((left, top + 18), "\n".join(lines), PALE, fonts[0], spacing=2)
    return sheet


def _pictures(clip: Video, decoder: decode.Decoder) -> list[Image.Image]:
    """A few frames, evenly; none of a video that cannot be read."""
    keep = max(1, -(-SHOWN // max(1, clip.num_frames // 16)))
    try:
        found = [frame for part in decoder.snippets(clip.video, keep, name=clip.id) for frame in part.frames]
    except ValueError:
        return []
    chosen = np.linspace(0, len(found) - 1, min(SHOWN, len(found))).round().astype(int)
    pictures = [Image.fromarray(found[i]) for i in chosen]
    for picture in pictures:
        picture.thumbnail((WIDTH - 2, HEIGHT), Image.Resampling.BOX)
    return pictures


def _fonts() -> tuple[ImageFont.FreeTypeFont, ImageFont.FreeTypeFont]:
    """Matplotlib's own, which have more than Latin letters: plain, and bold for names."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / "DejaVuSans.ttf", 11), ImageFont.truetype(folder / "DejaVuSans-Bold.ttf", 12)
