"""CogVideoX's samplers, whole, beside diffusers' own pipelines: random small folders of every published form.

Latents and every draw are injected on both sides: the steps' noise, and what the image's latents are drawn by.
"""

import numpy as np
import pytest
from PIL import Image

from gvvad_jax.models import cogvideox

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

TRANSFORMER = dict(num_attention_heads=2, attention_head_dim=32, num_layers=2, in_channels=6, out_channels=6)
TRANSFORMER |= dict(time_embed_dim=12, text_embed_dim=20, max_text_seq_length=5)
TRANSFORMER |= dict(sample_height=6, sample_width=10, sample_frames=9)
ROTARY = dict(use_rotary_positional_embeddings=True)
PAIRS = ROTARY | dict(patch_size_t=2, patch_bias=False, sample_height=16, sample_width=16, sample_frames=9)
IMAGE = dict(in_channels=12)
FORMS = {
    "2B": {},
    "5B": ROTARY,
    "5B image": ROTARY | IMAGE | dict(use_learned_positional_embeddings=True),
    "1.5": PAIRS,
    "1.5 image": PAIRS | IMAGE | dict(ofs_embed_dim=12),
}
VAE = dict(block_out_channels=(4, 4, 8, 8), latent_channels=6, layers_per_block=1, norm_num_groups=2)
SCHEDULER = dict(prediction_type="v_prediction", timestep_spacing="trailing", rescale_betas_zero_snr=True)
SCHEDULERS = {"ddim": diffusers.CogVideoXDDIMScheduler, "dpm": diffusers.CogVideoXDPMScheduler}
SPREAD = {"weight": 0.2, "bias": 0.1, "pos_embedding": 0.5}  # of what is added to the weights


def published(form, path, stored=torch.float32):
    """The pipeline, float32, of random weights that lie in a folder as `stored`."""
    torch.manual_seed(len(form))
    transformer = diffusers.CogVideoXTransformer3DModel(**(TRANSFORMER | FORMS[form])).eval()
    factors = dict(scaling_factor=1.15258426 if form == "2B" else 0.7, invert_scale_latents=form.startswith("1.5"))
    vae = diffusers.AutoencoderKLCogVideoX(**VAE, **factors).eval()
    with torch.no_grad():
        for part in (transformer, vae):
            for name, tensor in part.state_dict().items():
                tensor.add_(torch.randn_like(tensor) * SPREAD[name.rsplit(".", 1)[-1]])
        vae.decoder.conv_out.conv.weight.mul_(0.1)  # most pictures' values lie between black and white
    kind = diffusers.CogVideoXImageToVideoPipeline if "image" in form else diffusers.CogVideoXPipeline
    shift = dict(snr_shift_scale=3.0 if form == "2B" else 1.0, clip_sample=False)
    scheduler = SCHEDULERS["ddim" if form == "2B" else "dpm"](**SCHEDULER, **shift)
    made = kind(tokenizer=None, text_encoder=None, vae=vae, transformer=transformer, scheduler=scheduler).to(stored)
    made.set_progress_bar_config(disable=True)
    made.save_pretrained(path, max_shard_size="100KB")
    return made.to(torch.float32)


def drawn(form, videos, frames, height, width, steps):
    """What both samplers are given."""
    random, config = np.random.default_rng(steps), TRANSFORMER | FORMS[form]

    def normal(*shape):
        return random.normal(size=shape).astype(np.float32)

    deep = (frames - 1) // 4 + 1
    shape = (videos, deep + deep % config.get("patch_size_t", 1), 6, height // 8, width // 8)
    text = (videos, config["max_text_seq_length"], config["text_embed_dim"])
    made = dict(prompt_embeds=normal(*text), negative_embeds=normal(*text))
    made |= dict(latents=normal(*shape), noise=normal(steps, *shape))
    if "image" in form:
        # Of another size and another aspect than the video's.
        made["image"] = random.integers(0, 256, (videos, 23, 57, 3), np.uint8)
        made["image_noise"] = normal(videos, 1, *shape[2:])
    return made


def theirs(pipeline, monkeypatch, arrays, scheduler, steps, guidance, dynamic, **sizes):
    """Latents after the last step, and frames in [0, 1]."""
    dtype = pipeline.transformer.dtype
    tensors = {name: torch.from_numpy(array).to(dtype) for name, array in arrays.items() if name != "image"}
    pipeline.scheduler = SCHEDULERS[scheduler].from_config(pipeline.scheduler.config)
    draws, found, number = [], [], iter(range(steps))
    real = SCHEDULERS["dpm"].step

    def step(self, output, old, timestep, *rest, **options):
        noise = tensors["noise"][next(number)]
        is_second_order = old is not None and timestep >= 1000 // steps
        # Two draws, of which the first is not what it steps by.
        draws.extend([100 * noise, noise] if is_second_order else [noise])
        return real(self, output, old, timestep, *rest, **options)

    def kept(_, i, time, values):
        found.append(values["latents"])
        return {}

    options = dict(prompt_embeds=tensors["prompt_embeds"], latents=tensors["latents"])
    options["negative_prompt_embeds"] = tensors["negative_embeds"] if guidance > 1 else None
    with monkeypatch.context() as patch:
        patch.setattr(SCHEDULERS["dpm"], "step", step)
        patch.setattr(diffusers.schedulers.scheduling_dpm_cogvideox, "randn_tensor", lambda *_, **__: draws.pop(0))
        if "image" in arrays:
            own = iter(tensors["image_noise"].transpose(1, 2))
            patch.setattr(diffusers.models.autoencoders.vae, "randn_tensor", lambda *_, **__: next(own)[None])
            options["image"] = [Image.fromarray(one) for one in arrays["image"]]
        frames = pipeline(
            **options,
            num_frames=sizes["frames"],
            height=sizes["height"],
            width=sizes["width"],
            num_inference_steps=steps,
            guidance_scale=guidance,
            use_dynamic_cfg=dynamic,
            output_type="np",
            callback_on_step_end=kept,
        ).frames
    assert not draws and len(found) == steps
    return found[-1].float().numpy(), frames


def run(pipeline, arrays, guidance, dynamic, output, **options):
    if guidance <= 1:
        arrays = {name: array for name, array in arrays.items() if name != "negative_embeds"}
    way = "published" if dynamic else "off"
    return pipeline.sample(**arrays, guidance=guidance, dynamic_guidance=way, output=output, **options)


# Few sizes of pictures: decoding is compiled once for each.
CASES = {
    "2B ddim, wide grid": ("2B", "ddim", 2, (9, 48, 112), 6, 5.0, True),
    "2B dpm, one branch": ("2B", "dpm", 1, (9, 48, 80), 7, 1.0, False),
    "5B dpm, tall grid": ("5B", "dpm", 2, (17, 80, 48), 5, 6.0, True),
    "5B ddim, wide grid": ("5B", "ddim", 1, (9, 48, 112), 3, 2.5, False),
    "5B image dpm": ("5B image", "dpm", 2, (9, 48, 80), 4, 6.0, True),
    "5B image ddim, table computed": ("5B image", "ddim", 1, (17, 48, 80), 3, 1.5, False),
    "1.5 dpm, first latent frame dropped": ("1.5", "dpm", 2, (9, 80, 48), 6, 6.0, True),
    "1.5 image dpm, first latent frame dropped": ("1.5 image", "dpm", 2, (17, 80, 48), 3, 4.0, False),
    "1.5 image ddim, one frame": ("1.5 image", "ddim", 1, (1, 48, 80), 5, 0.5, True),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_equals_diffusers(tmp_path, monkeypatch, case):
    form, scheduler, videos, (frames, height, width), steps, guidance, dynamic = CASES[case]
    sizes = dict(frames=frames, height=height, width=width)
    reference = published(form, tmp_path)
    arrays = drawn(form, videos, frames, height, width, steps)
    latents, pictures = theirs(reference, monkeypatch, arrays, scheduler, steps, guidance, dynamic, **sizes)
    options = dict(scheduler=scheduler, steps=steps) | sizes
    ours = cogvideox.load(tmp_path)
    found = run(ours, arrays, guidance, dynamic, "latents", **options)
    np.testing.assert_allclose(found, latents, rtol=0, atol=1e-4 * np.abs(latents).max())
    found = run(ours, arrays, guidance, dynamic, "uint8", **options)
    assert found.shape == pictures.shape == (videos, frames, height, width, 3)
    assert np.abs(found - np.rint(255 * pictures)).max() <= 1


def test_a_run_in_bfloat16_is_as_near_to_single_precision_as_diffusers(tmp_path, monkeypatch):
    sizes, steps = dict(frames=9, height=48, width=80), 5
    reference = published("5B", tmp_path, stored=torch.bfloat16)
    arrays = drawn("5B", 2, *sizes.values(), steps)
    options = dict(scheduler="dpm", steps=steps) | sizes
    single, half = cogvideox.load(tmp_path), cogvideox.load(tmp_path, "bfloat16")
    wanted = run(single, arrays, 6.0, True, "latents", **options)
    found = run(half, arrays, 6.0, True, "latents", **options)
    other, _ = theirs(reference.to(torch.bfloat16), monkeypatch, arrays, "dpm", steps, 6.0, True, **sizes)
    away, limit = (np.linalg.norm(x - wanted) / np.linalg.norm(wanted) for x in (found, other))
    assert away <= min(0.05, 1.5 * limit)
    error = np.square(half.decode(found) - single.decode(wanted).astype(float)).mean()
    assert 10 * np.log10(255**2 / error) >= 35
