"""Small random weights of CLIP with a vocabulary of letters and one merge, as a folder in the Hugging Face layout."""

import json
import shutil
import string
from pathlib import Path

from gvvad_jax.models import text_image

START, END = 118, 119


def make(source: Path, path: Path) -> Path:
    """A copy of the reference case `source` with a tokenizer."""
    shutil.copytree(source, path)
    letters = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase), "ca", "cat</w>"]
    known = {word: number for number, word in enumerate(letters)} | {text_image.START: START, text_image.END: END}
    (path / "vocab.json").write_text(json.dumps(known))
    (path / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")
    return path
