"""GIT beside transformers' own: every state and logit, greedy ids, pixels to the bit (extra `parity`)."""

import json

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from gvvad_jax.models import git  # noqa: E402
from tests.parity import pretrained  # noqa: E402
from tests.parity.pretrained import close, planar  # noqa: E402

VISION = dict(hidden_size=36, intermediate_size=50, num_hidden_layers=2, num_attention_heads=3)
TEXT = dict(hidden_size=40, intermediate_size=60, num_hidden_layers=3, num_attention_heads=5, vocab_size=70)
TEXT |= dict(max_position_embeddings=30, bos_token_id=4, eos_token_id=7, pad_token_id=1)
CASES = {
    "six": dict(vision=dict(image_size=24, patch_size=8), text=dict(num_image_with_embedding=6), std=0.35, end=2),
    # 7 x 26 tokens of images, which a CPU takes by parts
    "seven": dict(
        vision=dict(image_size=30, patch_size=6, hidden_act="gelu", layer_norm_eps=1e-3),
        text=dict(num_image_with_embedding=7, hidden_act="quick_gelu", layer_norm_eps=1e-6, num_attention_heads=1),
        stored="bfloat16",
        shards=True,
        std=0.4,
        end=6,
    ),
    "still": dict(vision=dict(image_size=20, patch_size=10), text={}, stored="float16", std=0.4, end=3),
}


@pytest.fixture(scope="module", params=CASES)
def both(request, tmp_path_factory):
    """(ours, theirs)."""
    case = CASES[request.param]
    config = transformers.GitConfig(vision_config=VISION | case["vision"], **TEXT | case["text"])
    theirs = pretrained.drawn(transformers.GitForCausalLM(config), 3, case["std"])
    with torch.no_grad():
        theirs.output.bias[config.eos_token_id] += case["end"]  # so that sentences end, at different lengths
    path = tmp_path_factory.mktemp(request.param)
    pretrained.saved(theirs, path, case.get("stored", "float32"), case.get("shards", False))
    return git.load(path), theirs


def clips(model, n):
    """Ours [n, frames, size, size, 3], and as torch takes them: without frames where a model has one."""
    size, frames, rng = model.config.size, model.config.frames, np.random.default_rng(n)
    pixels = rng.normal(size=(n, frames or 1, size, size, 3)) + 2 * rng.normal(size=(n, 1, 1, 1, 3))
    pixels = pixels.astype(np.float32)
    return pixels, planar(pixels if frames else pixels[:, 0])


def test_states_and_logits_agree(both):
    ours, theirs = both
    pixels, given = clips(ours, 3)
    rng = np.random.default_rng(1)
    ids, mask = rng.integers(0, 70, (3, 11)).astype(np.int32), np.ones((3, 11), np.int32)
    mask[1, 6:], mask[2, 1:] = 0, 0
    flat, tower = pixels.reshape(-1, *pixels.shape[2:]), theirs.git.image_encoder
    with torch.no_grad():
        seen = tower(planar(flat), output_hidden_states=True)
        found = theirs(
            input_ids=torch.from_numpy(ids).long(),
            attention_mask=torch.from_numpy(mask).long(),
            pixel_values=given,
            output_hidden_states=True,
        )
    before = ours.vision.before(ours.vision.embed(flat))
    close(before, seen.hidden_states[0], "before the blocks")
    states = ours.vision.blocks.states(before)
    for number, state in enumerate(states):
        close(state, seen.hidden_states[number + 1], f"block {number}")
    close(ours.vision.after(states[-1]), seen.last_hidden_state, "after the tower's last norm")
    images = ours.encode_video(pixels)
    first = found.hidden_states[0]
    close(np.concatenate([images, ours.embed_text(ids)], 1), first, "projection, embedding of text")
    states = ours.states(images, ids, mask)
    assert len(states) == len(found.hidden_states) - 1
    for number, state in enumerate(states):
        close(state, found.hidden_states[number + 1], f"layer {number}")
    close(ours.logits(states[-1])[:, -ids.shape[1] :], found.logits[:, -ids.shape[1] :], "logits")


def test_greedy_ids_agree(both):
    ours, theirs = both
    pixels, given = clips(ours, 8)
    wanted = theirs.generate(pixel_values=given, max_length=12, do_sample=False, num_beams=1).numpy()
    ends = np.where((wanted == 7).any(1), (wanted == 7).argmax(1), -1)
    assert len(set(ends.tolist())) > 2, ends  # else the case shows little
    np.testing.assert_array_equal(ours.caption_ids(pixels, max_length=12), wanted)


def test_the_published_spelling_of_temporal_embeddings_is_read_alike(tmp_path):
    config = transformers.GitConfig(vision_config=VISION | CASES["six"]["vision"], **TEXT | CASES["six"]["text"])
    theirs = pretrained.drawn(transformers.GitForCausalLM(config), seed=0)
    pretrained.saved(theirs, tmp_path / "new")
    arrays = safetensors.numpy.load_file(tmp_path / "new" / "model.safetensors")
    assert "git.img_temporal_embedding.5" in arrays
    renamed = {name.replace("img_temporal_", "img_temperal_"): array for name, array in arrays.items()}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.json").write_bytes((tmp_path / "new" / "config.json").read_bytes())
    safetensors.numpy.save_file(renamed, tmp_path / "old" / "model.safetensors")
    new, old = (git.load(tmp_path / name) for name in ("new", "old"))
    pixels, given = clips(new, 2)
    np.testing.assert_array_equal(new.encode_video(pixels), old.encode_video(pixels))
    with torch.no_grad():
        found = theirs.git(torch.zeros((2, 1), dtype=torch.long), pixel_values=given, output_hidden_states=True)
    close(old.encode_video(pixels), found.hidden_states[0][:, :-1], "with temporal embeddings")


def test_pixels_are_the_processors_to_the_bit(tmp_path):
    rng = np.random.default_rng(0)
    given = [
        (transformers.VideoMAEImageProcessorPil(), 224),
        (transformers.VideoMAEImageProcessorPil(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}), 32),
        (transformers.CLIPImageProcessorPil(), 224),
        (transformers.CLIPImageProcessorPil(size={"height": 48, "width": 48}, do_center_crop=False, resample=2), 48),
    ]
    for number, (processor, size) in enumerate(given):
        path = tmp_path / str(number)
        path.mkdir()
        processor.save_pretrained(path)
        kind = json.loads((path / "preprocessor_config.json").read_text())["image_processor_type"]
        ours = git.pixels(path, size)
        for height, width in [
            (224, 224),
            (1, 3),
            (225, 223),
            (40, 333),
            (300, 71),
            (63, 64),
            *rng.integers(2, 500, (6, 2)),
        ]:
            frames = rng.integers(0, 256, (2, height, width, 3), np.uint8)
            wanted = processor([Image.fromarray(frame) for frame in frames], return_tensors="np")["pixel_values"]
            wanted = np.moveaxis(wanted.reshape(-1, *wanted.shape[-3:]), 1, -1)
            for frame, reference in zip(frames, wanted, strict=True):
                np.testing.assert_array_equal(ours(frame), reference, f"{kind} {number}, {height}x{width}")
