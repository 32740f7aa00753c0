"""What a description must be, whoever wrote it: short enough, about its event or about none, and not seen before."""

import dataclasses
import json
import re
from collections import Counter, defaultdict

from gvvad_jax.synthesis.describe.elements import Catalogue, Elements, catalogue

MAX_TOKENS = 226  # CogVideoX cuts a prompt here: its T5 encoder's length, the closing token included
MIN_WORDS = 3
SIMILAR = 0.6  # share of three-word runs that two texts have in common, at most
SMALL = frozenset("a an and at by from in into of off on onto out over the then to up with".split())


@dataclasses.dataclass(frozen=True)
class Pair:
    """The two texts that one tuple of elements gives."""

    anomalous: str
    normal: str


def tokens_at_most(text: str) -> int:
    """A bound on T5's tokens that needs no tokenizer.

    The rule: a word of n letters counts as ⌈n / 3⌉, every other character but a space as one, and one closing token.
    T5's vocabulary holds common English words whole (about 1.3 tokens a word), so the rule errs on the long side.
    """
    pieces = re.findall(r"[^\W\d_]+|\S", text)
    return 1 + sum(-(-len(piece) // 3) for piece in pieces)


def parse(text: str) -> Pair:
    """The pair of an answer's JSON; ValueError says what is wrong with it."""
    try:
        answer = json.loads(text)
    except ValueError:
        raise ValueError("the answer was not one whole JSON object") from None
    if not isinstance(answer, dict) or not all(isinstance(answer.get(k), str) for k in ("anomalous", "normal")):
        raise ValueError("the answer was not an object with the two texts 'anomalous' and 'normal'")
    return Pair(_tidy(answer["anomalous"]), _tidy(answer["normal"]))


def problems(pair: Pair, elements: Elements) -> list[str]:
    """What is wrong with the texts of a pair, each a clause that can be told to whoever wrote it; [] where nothing."""
    found = []
    for name, text in (("anomalous", pair.anomalous), ("normal", pair.normal)):
        if (words := len(text.split())) < MIN_WORDS:
            found.append(f"the {name} text has {words} words, but at least {MIN_WORDS} are wanted")
        elif (tokens := tokens_at_most(text)) > MAX_TOKENS:
            found.append(f"the {name} text may need {tokens} tokens, but the text encoder takes {MAX_TOKENS}")
    known = catalogue()
    if not matching(event_words(elements, known), pair.anomalous):
        found.append(f"the anomalous text does not name the event ({elements.event.name})")
    if named := matching((*elements.event.words, *known.alarms), pair.normal):
        found.append(f"the normal text names something unusual ({', '.join(named)}), even if it denies it")
    if pair.anomalous.casefold() == pair.normal.casefold():
        found.append("both texts are the same")
    return found


def event_words(elements: Elements, known: Catalogue) -> tuple[str, ...]:
    """Words that name the event: its own, those of its class, and those of the class's other events."""
    category = elements.event.category
    alike = [word for event in known.events if event.category == category for word in event.words]
    return tuple(dict.fromkeys([*elements.event.words, *known.names[category], *alike]))


def matching(words: tuple[str, ...], text: str) -> list[str]:
    """The words of `text` that are in the list; there, `word*` stands for all that begin with it."""
    pattern = "|".join(re.escape(word).replace(r"\*", r"\w*") for word in words)
    return list(dict.fromkeys(re.findall(rf"\b(?:{pattern})\b", text.casefold())))


class Seen:
    """The texts so far, and whether a new one nearly repeats one of them."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._sizes: list[int] = []
        self._where: dict[tuple[str, ...], list[int]] = defaultdict(list)

    def nearest(self, text: str) -> tuple[float, str]:
        """The share of three-word runs (Jaccard) in common with the text most like it, and that text."""
        runs = _runs(text)
        common = Counter(i for run in runs for i in self._where.get(run, ()))
        shares = ((shared / (len(runs) + self._sizes[i] - shared), self._texts[i]) for i, shared in common.items())
        return max(shares, default=(0.0, ""))

    def repeats(self, pair: Pair) -> list[str]:
        """As `problems`: which text of the pair is too much like an earlier one."""
        found = []
        for name, text in (("anomalous", pair.anomalous), ("normal", pair.normal)):
            share, other = self.nearest(text)
            if share > SIMILAR:
                found.append(f'the {name} text nearly repeats an earlier one ("{other}")')
        return found

    def add(self, pair: Pair) -> None:
        """Keeps both texts."""
        for text in (pair.anomalous, pair.normal):
            runs = _runs(text)
            for run in runs:
                self._where[run].append(len(self._texts))
            self._texts.append(text)
            self._sizes.append(len(runs))


def _runs(text: str) -> set[tuple[str, ...]]:
    """Runs of three words, small words left out."""
    words = [word for word in re.findall(r"\w+", text.casefold()) if word not in SMALL]
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))}


def _tidy(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
