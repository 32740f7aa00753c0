"""Videos to sentences by a vision language model behind an OpenAI-compatible endpoint: a request a window of frames.

Answers are kept by their request, in which a picture stands as the SHA-256 of its pixels, before they are used. A video
whose window gets no answer fails; where nothing has been answered at all, and nothing can be, the call ends.
"""

import base64
import dataclasses
import hashlib
import io
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gvvad_jax import datasets, records
from gvvad_jax.endpoint import client
from gvvad_jax.endpoint.cache import Cache
from gvvad_jax.endpoint.client import Answer, Client, Service
from gvvad_jax.features import captioner, captions
from gvvad_jax.features.sentences import SentenceEncoder

FRAMES = 4  # of a window, evenly
LONGER_SIDE = 512  # pixels; services count a picture of this size as one tile
QUALITY = 85  # of JPEG
FAILURES_IN_A_ROW = 3  # videos without any answer, after which the service is taken to be down
INSTRUCTIONS = """\
You get a few pictures of one surveillance camera, in the order of time and a fraction of a second apart.
Say in one plain English sentence, in the present tense of at most 25 words, who or what is there and what it does.
Say only what can be seen; leave out the camera, the pictures and guesses. Answer with the sentence alone."""


class ChatCaptioner:
    """Asks about one window at a time; `identity` is what records keep."""

    batch, frames = 1, FRAMES

    def __init__(self, asker: Client, cache: Cache, attempts: int = 5):
        """`attempts`: requests a window, with or without an answer."""
        if attempts < 1:
            raise ValueError(f"--attempts={attempts}: at least 1 is needed.")
        self.asker, self.cache, self.attempts = asker, cache, attempts
        self.identity: dict[str, Any] = {
            "name": f"openai:{asker.service.model}",
            "host": asker.host,
            "frames": FRAMES,
            "longer_side": LONGER_SIDE,
            "instructions": INSTRUCTIONS,
        }
        self._has_answers = False
        self._in_a_row = 0
        self._ended: Exception | None = None  # why no further request is made

    def crop(self, frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The whole frame, its longer side at most `LONGER_SIDE`."""
        picture = Image.fromarray(frame)
        picture.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.BICUBIC)
        return np.asarray(picture)

    def begin(self, windows: Sequence[UInt8[np.ndarray, "frames h w 3"]]) -> list[UInt8[np.ndarray, "frames h w 3"]]:
        """Takes windows; nothing is asked yet, as the one before may fail."""
        return list(windows)

    def end(self, begun: Sequence[UInt8[np.ndarray, "frames h w 3"]]) -> list[str | Exception]:
        """A sentence for each window, or why there is none; raises Stop or Down where no window can have one."""
        return [self._sentence(window) for window in begun]

    def _sentence(self, window: np.ndarray) -> str | Exception:
        """Asks until an answer is taken or the attempts are used up; "": answered, but in no way that is a sentence."""
        answers, problem = 0, ""
        for attempt in range(1, self.attempts + 1):
            kept = request(window, self.asker.service, answers + 1, problem, has_pictures=False)
            answer = self.cache.get(kept)
            if answer is None and self._ended is not None:
                return self._ended
            if answer is None:
                asked = request(window, self.asker.service, answers + 1, problem)
                try:
                    self.asker.open()
                    self.cache.hold()
                    answer = self.asker.ask(asked)
                except client.Filtered:
                    return ""
                except client.Stop as stop:
                    return self._end(stop)
                except client.Again as again:
                    if attempt == self.attempts:
                        return self._failed(again)
                    self.asker.wait(again, attempt)
                    continue
                self.cache.put(kept, answer, self.asker.host)
            self._has_answers, self._in_a_row, answers = True, 0, answers + 1
            try:
                return sentence(answer)
            except ValueError as error:
                problem = str(error)
        return ""

    def _failed(self, again: client.Again) -> Exception:
        """Why a window has no answer."""
        said = f"{again} after {self.attempts} attempts"
        if not again.was_reached and not self._has_answers:
            return self._end(client.Down(f"{said}; check the address and the network."))
        self._in_a_row += 1
        if self._in_a_row == FAILURES_IN_A_ROW:
            said = f"{self.asker.host} gave no answer to {self._in_a_row} videos in a row ({said})"
            return self._end(client.Down(f"{said}; run the same command again later, what was answered is kept."))
        return client.Down(f"no answer: {said}; run the same command again, it goes on.")

    def _end(self, why: Exception) -> Exception:
        """No further request is made: ends the call where nothing was answered, else each video that lacks one."""
        if not self._has_answers:
            raise why
        self._ended = why
        return why


def request(
    window: UInt8[np.ndarray, "frames h w 3"],
    service: Service,
    number: int = 1,
    problem: str = "",
    has_pictures: bool = True,
) -> dict[str, Any]:
    """The body of the request for a window's answer `number`; without pictures, their SHA-256 stands for them."""
    said = f"{len(window)} pictures."
    if number > 1:
        said += f" Attempt {number}. The answer before was not taken: {problem}."
    urls = [_data_url(frame) if has_pictures else hashlib.sha256(frame.tobytes()).hexdigest() for frame in window]
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {
        "model": service.model,
        "messages": [
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": [{"type": "text", "text": said}, *pictures]},
        ],
        "max_completion_tokens": service.max_tokens,
    }


def sentence(answer: Answer) -> str:
    """The first sentence of an answer; ValueError says in a clause why it is not taken."""
    if answer.refusal or answer.finish_reason == "content_filter":
        raise ValueError("it was a refusal; say what a camera would show")
    text = answer.content.strip("\"'` ")
    found = re.match(r".+?[.!?](?=\s+[A-Z]|$)", text)
    if found is None and answer.finish_reason == "length":
        raise ValueError("it was cut off; write one short sentence")
    if not text:
        raise ValueError("it was empty; write one sentence")
    return found[0] if found else text


def write(
    out: str | Path,
    encoder: SentenceEncoder,
    service: Service,
    videos: Sequence[datasets.Entry] | records.Reader,
    *,
    attempts: int = 5,
    prices: tuple[float, float] | None = None,
    window: int = captions.WINDOW,
    stride: int = captions.STRIDE,
) -> captions.Summary:
    """Captions videos by the model and writes the text set `out`; answers are kept in `out`.cache/.

    A video that lacks an answer is a line in `out`/errors.jsonl, and the same call again asks for what is missing
    alone. Client's ValueError or OSError, and nothing written, where the service gave not one answer and cannot.
    """
    out = Path(out)
    asker, is_new = Client(service), not out.exists()
    with Cache(out.with_name(f"{out.name}.cache")) as cache:
        asking = ChatCaptioner(asker, cache, attempts)
        try:
            summary = captioner.write(out, encoder, asking, videos, window=window, stride=stride)
        except (client.Stop, client.Down):  # before the first answer, so no record is there
            if is_new:
                shutil.rmtree(out, ignore_errors=True)
            raise
        finally:  # what an interrupted run paid is kept, too
            report = cache.report(prices, asker.unanswered)
    return dataclasses.replace(summary, report=report)


def _data_url(frame: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
