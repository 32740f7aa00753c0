"""CLIP beside transformers' own: every state, its pixels to the bit, its token ids (extra `parity`)."""

import json
import string

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from gvvad_jax.models import clip, text_image  # noqa: E402
from tests.parity import pretrained  # noqa: E402
from tests.parity.pretrained import close, planar  # noqa: E402

VISION = dict(hidden_size=60, intermediate_size=100, num_hidden_layers=4, num_attention_heads=3)
TEXT = dict(hidden_size=40, intermediate_size=70, num_hidden_layers=3, num_attention_heads=5, vocab_size=90)
CASES = {
    # 17 tokens, the largest id ends a sentence
    "quick": dict(vision=dict(image_size=48, patch_size=12), text=dict(eos_token_id=2), projection=24),
    # 145 tokens, which a CPU takes by parts; other ids above the one that ends a sentence
    "long": dict(
        vision=dict(image_size=96, patch_size=8, hidden_act="gelu", layer_norm_eps=1e-3, num_hidden_layers=2),
        text=dict(eos_token_id=70, hidden_act="gelu", max_position_embeddings=150),
        projection=50,
        stored="bfloat16",
        shards=True,
    ),
    # towers of different activations, one head, a size that its patches fill once
    "single": dict(
        vision=dict(image_size=20, patch_size=20, num_attention_heads=1),
        text=dict(eos_token_id=70, hidden_act="gelu", num_attention_heads=1, max_position_embeddings=9),
        projection=3,
        stored="float16",
    ),
}


@pytest.fixture(scope="module", params=CASES)
def both(request, tmp_path_factory):
    """(ours, theirs)."""
    case = CASES[request.param]
    config = transformers.CLIPConfig(
        vision_config=VISION | case["vision"], text_config=TEXT | case["text"], projection_dim=case["projection"]
    )
    theirs = pretrained.drawn(transformers.CLIPModel(config), seed=len(request.param))
    path = tmp_path_factory.mktemp(request.param)
    pretrained.saved(theirs, path, case.get("stored", "float32"), case.get("shards", False))
    return clip.load(path), theirs


def images(model, n=3):
    size = model.config.size
    return np.random.default_rng(n).normal(size=(n, size, size, 3)).astype(np.float32)


def sentences(model, n=5):
    """Ids and mask of sentences of several lengths; the first fills all positions, the last is empty."""
    config, rng = model.config, np.random.default_rng(n)
    length = config.positions
    end = config.vocabulary - 1 if config.eos == clip.LARGEST else config.eos
    ids, mask = (np.zeros((n, length), np.int32) for _ in range(2))
    for row, words in enumerate(np.linspace(length - 1, 0, n).astype(int)):
        own = rng.integers(3, config.vocabulary - 1, words)
        ids[row, :words] = np.where(own == end, end - 1, own)
        ids[row, words:] = end if row % 2 else 0  # both ways of padding
        ids[row, words], mask[row, : words + 1] = end, 1
    return ids, mask


def test_states_and_embeddings_of_images_agree(both):
    ours, theirs = both
    pixels = images(ours)
    with torch.no_grad():
        found = theirs.vision_model(pixel_values=planar(pixels), output_hidden_states=True)
        embeds = theirs.get_image_features(pixel_values=planar(pixels)).pooler_output
        embedded = theirs.vision_model.embeddings(planar(pixels))
    close(ours.vision.embed(pixels), embedded, "embedding")
    before = ours.vision.before(ours.vision.embed(pixels))
    close(before, found.hidden_states[0], "before the blocks")
    states = ours.vision.blocks.states(before)
    assert len(states) == len(found.hidden_states) - 1
    for number, state in enumerate(states):
        close(state, found.hidden_states[number + 1], f"block {number}")
    close(ours.vision.after(states[-1][:, 0]), found.pooler_output, "the class token")
    close(ours.encode_image(pixels), embeds, "embedding of images")


@pytest.mark.parametrize("has_mask", [True, False])
def test_states_and_embeddings_of_texts_agree(both, has_mask):
    ours, theirs = both
    ids, mask = sentences(ours)
    given = {"attention_mask": torch.from_numpy(mask).long()} if has_mask else {}
    with torch.no_grad():
        found = theirs.text_model(input_ids=torch.from_numpy(ids).long(), output_hidden_states=True, **given)
        embeds = theirs.get_text_features(input_ids=torch.from_numpy(ids).long(), **given).pooler_output
    embedded, visible = ours.embed_text(ids), ours.visible(ids, mask if has_mask else None)
    close(embedded, found.hidden_states[0], "embedding")
    states = ours.text.states(embedded, visible)
    assert len(states) >= len(found.hidden_states) - 1
    for number, state in enumerate(states[: len(found.hidden_states) - 1]):
        close(state, found.hidden_states[number + 1], f"block {number}")
    close(ours.text_norm(states[-1]), found.last_hidden_state, "after the last norm")
    close(ours.encode_text(ids, mask if has_mask else None), embeds, "embedding of texts")


def test_logits_agree(both):
    ours, theirs = both
    (ids, mask), pixels = sentences(ours), images(ours, 4)
    with torch.no_grad():
        found = theirs(torch.from_numpy(ids).long(), planar(pixels), torch.from_numpy(mask).long())
    logits = ours.logits(ours.encode_image(pixels), ours.encode_text(ids, mask))
    close(logits, found.logits_per_image, "of images")
    close(logits.T, found.logits_per_text, "of texts")


def pictures():
    """Random pictures of many sizes and modes, smooth and noisy."""
    rng = np.random.default_rng(0)
    sizes = [(224, 224), (1, 1), (1, 40), (223, 225), (225, 224), (500, 7), (640, 360), (333, 1001), (77, 640)]
    sizes += [tuple(np.exp(rng.uniform(0.7, 6.3, 2)).astype(int)) for _ in range(30)]
    for number, (width, height) in enumerate(sizes):
        channels = {"RGB": (3,), "L": (), "RGBA": (4,), "LA": (2,)}
        mode = list(channels)[number % 4]
        noise = rng.integers(0, 256, (height, width, *channels[mode]), np.uint8)
        yield Image.fromarray(noise) if number % 3 else Image.fromarray(noise).resize((2 * width, height))
    palette = Image.fromarray(rng.integers(0, 256, (50, 70, 3), np.uint8)).convert("P")
    yield palette
    seen_through = palette.copy()
    seen_through.info["transparency"] = 3
    yield seen_through
    yield Image.fromarray(rng.integers(0, 2, (60, 31), np.uint8) * 255).convert("1")
    yield Image.fromarray(rng.integers(0, 256, (50, 70, 4), np.uint8), "CMYK")


def test_pixels_are_the_processors_to_the_bit():
    for size in (224, 336, 31):
        processor = transformers.CLIPImageProcessorPil(
            size={"shortest_edge": size}, crop_size={"height": size, "width": size}
        )
        for number, picture in enumerate(pictures()):
            if size == 336 and number % 3:
                continue
            wanted = processor(picture, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
            np.testing.assert_array_equal(clip.preprocess(picture, size), wanted, f"{number}: {picture}")
            if picture.mode in ("RGB", "L"):
                np.testing.assert_array_equal(clip.preprocess(np.asarray(picture), size), wanted)


def vocabulary(rng):
    """Byte symbols, joined pairs of them, and the two special tokens: CLIP's tokenizer in small."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = [chr(code) for code in seen] + [chr(256 + i) for i in range(256 - len(seen))]
    words = [*symbols, *(f"{symbol}</w>" for symbol in symbols)]
    merges = []
    alive = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    while len(merges) < 300:
        left, right = (str(rng.choice(alive)) for _ in range(2))
        if left.endswith("</w>") or (left + right) in words or len(left + right) > 12:
            continue
        merges.append((left, right))
        words.append(left + right)
        alive.append(left + right)
    return {word: number for number, word in enumerate([*words, text_image.START, text_image.END])}, merges


def test_ids_of_sentences_are_the_tokenizers(tmp_path):
    rng = np.random.default_rng(5)
    known, merges = vocabulary(rng)
    theirs = transformers.CLIPTokenizer(vocab=known, merges=merges)
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "vocab.json").write_text(json.dumps(known))
    lines = "".join(f"{left} {right}\n" for left, right in merges)
    (tmp_path / "slow" / "merges.txt").write_text(f"#version: 0.2\n{lines}")
    theirs.save_pretrained(tmp_path / "fast")
    words = ["".join(rng.choice(list(string.ascii_letters), rng.integers(1, 9))) for _ in range(200)]
    texts = [" ".join(rng.choice(words, rng.integers(0, 40))) for _ in range(60)]
    texts += [
        "",
        " ",
        "\n\tA  man's car; they'LL run — 1999, 3.5%!!!",
        "I've we're he'd 'tis don't 'S",
        "e\u0301 é ＡＢ ﬁ",
    ]
    texts += [
        "日本 🚗🔥 naïve İstanbul ẞ",
        "#hash @at <|endoftext|> in <|startoftext|> text",
        "a\x00b\x7f\u200b\u00a0c",
        "# version",
    ]
    for length in (77, 12):
        wanted = theirs(texts, padding="max_length", max_length=length, truncation=True)["input_ids"]
        for folder in ("slow", "fast"):
            found = text_image.tokenizer(tmp_path / folder, length).encode_batch(texts)
            for text, ours, reference in zip(texts, found, wanted, strict=True):
                assert ours.ids == reference, (folder, length, text)
