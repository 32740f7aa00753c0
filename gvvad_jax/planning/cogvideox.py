"""The programs that make one clip with CogVideoX, with weights of the published sizes that nobody has to have."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from gvvad_jax.models import t5
from gvvad_jax.models.cogvideox import config, denoise, guidance, schedulers, sizes, transformer, vae
from gvvad_jax.models.cogvideox.layout import Layout
from gvvad_jax.planning.programs import Program, everywhere

DTYPE = jnp.bfloat16
STEP = "denoising, a step"
_COMMON: dict[str, Any] = dict(head_width=64, outputs=16, text_width=4096, time_width=512, text_tokens=226, patch=2)
_COMMON |= dict(compression=4, epsilon=1e-5, spatial_scale=1.875, temporal_scale=1.0)
_FIRST: dict[str, Any] = _COMMON | dict(frame_patch=None, sample_rows=60, sample_columns=90, sample_frames=49)
_LATER: dict[str, Any] = _COMMON | dict(frame_patch=2, sample_rows=300, sample_columns=300, sample_frames=81)
_LARGE: dict[str, Any] = dict(heads=48, layers=42, is_rotary=True)
_PLAIN: dict[str, Any] = dict(inputs=16, has_table=False, ofs_width=None)


@dataclass(frozen=True)
class Form:
    """A published model: its transformer, and the native height and width where its sample size does not say them."""

    transformer: config.Config
    height: int | None = None
    width: int | None = None


# Native sizes of version 1.5: its sample size is the most that positions go to, not what it was trained on.
FORMS = {
    "2b": Form(config.Config(**_FIRST, **_PLAIN, heads=30, layers=30, is_rotary=False)),
    "5b": Form(config.Config(**_FIRST, **_PLAIN, **_LARGE)),
    "1.5-5b": Form(config.Config(**_LATER, **_PLAIN, **_LARGE), 768, 1360),
}
XXL = t5.Config(32128, 4096, 64, 10240, 24, 64, buckets=32, distance=128, epsilon=1e-6)
VAE = vae.Config(
    channels=(128, 256, 256, 512),
    layers=3,
    latent=16,
    groups=32,
    epsilon=1e-6,
    time_levels=2,
    scaling_factor=0.7,
    invert_scale_latents=False,
    rows=480,
    columns=720,
)


def programs(form: Form, mesh: Mesh, size: sizes.Size, steps: int, branches: int) -> list[Program]:
    """In the order of a clip: prompts, modulations, all steps, and the pieces of the decoder."""
    return [
        _prompts(mesh, branches),
        _modulations(form.transformer, mesh, steps),
        _steps(form.transformer, mesh, size, steps, branches),
        *_pieces(mesh, size),
    ]


def analytic(form: config.Config, tokens: int, branches: int) -> int:
    """Operations of one step's products by hand: L·(24·T·D² + 4·T²·D) a branch."""
    width = form.width
    return branches * form.layers * (24 * tokens * width**2 + 4 * tokens**2 * width)


def tokens(form: config.Config, size: sizes.Size) -> int:
    """Of text and video."""
    frames, _, rows, columns = size.latents
    return form.text_tokens + frames * rows * columns // (form.frames_together * form.patch**2)


def _layout(mesh: Mesh) -> Layout:
    return Layout(None if mesh.size == 1 else mesh, "tpu")


def _weights(module: Any, mesh: Mesh) -> tuple[Any, Any]:
    graph, state = nnx.split(module)
    split = Layout(mesh)
    return graph, jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=split.weight(x.shape)), state)


def _prompts(mesh: Mesh, branches: int) -> Program:
    graph, state = _weights(nnx.eval_shape(lambda: t5.T5(XXL, DTYPE)), mesh)
    ids = everywhere(jax.ShapeDtypeStruct((1, t5.LENGTH), jnp.int32), mesh)
    return Program(
        name="T5, a prompt",
        calls=branches,
        function=lambda state, ids: nnx.merge(graph, state)(ids),
        arguments=(state, ids),
        trips=XXL.layers,
        without_loop=Program(
            name="", calls=1, function=lambda state, ids: nnx.merge(graph, state).embed(ids), arguments=(state, ids)
        ),
    )


def _modulations(form: config.Config, mesh: Mesh, steps: int) -> Program:
    graph, state = _weights(nnx.eval_shape(lambda: transformer.Modulator(form, DTYPE)), mesh)
    times = everywhere(jax.ShapeDtypeStruct((steps,), jnp.int32), mesh)
    return Program(
        name="modulations of all steps",
        calls=1,
        function=lambda state, times: nnx.merge(graph, state)(times),
        arguments=(state, times),
    )


def _steps(form: config.Config, mesh: Mesh, size: sizes.Size, steps: int, branches: int) -> Program:
    graph, state = _weights(nnx.eval_shape(lambda: transformer.Body(form, DTYPE)), mesh)
    layout = _layout(mesh)
    plan = schedulers.plan(dict(prediction_type="v_prediction", timestep_spacing="trailing"), steps, "dpm")
    shape = (1, *size.latents)
    places = transformer.places(form, size.latents[0], *size.latents[2:], layout)

    def array(*shape: int, dtype: Any = DTYPE) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype)

    width, layers = form.width, form.layers
    given = denoise.Given(
        text=array(branches, form.text_tokens, form.text_width),
        image=None,
        keys=jax.eval_shape(lambda: jax.random.key(0)[None]),
        places=places,
    )
    rows = denoise.Row(
        number=array(steps, dtype=jnp.int32),
        coefficients=plan.coefficients,
        modulation=transformer.Modulation(
            array(steps, layers, 6, width), array(steps, layers, 6, width), array(steps, 2, width)
        ),
        scale=guidance.scales(6.0, steps, plan.timesteps).astype(np.float32),
        noise=None,
    )
    given, rows, begun = everywhere((given, rows, (array(*shape), array(*shape, dtype=jnp.float32))), mesh)

    def outside(state: Any, given: denoise.Given, rows: denoise.Row, begun: denoise.Carry) -> Any:
        """A step without its blocks."""
        body = nnx.merge(graph, state)
        x = jnp.concatenate([begun[0]] * branches)
        tokens = body.embed(x, body.encode_text(given.text), given.places, layout)
        modulation = jax.tree.map(lambda part: part[:1], rows.modulation)
        return body.end(tokens, modulation, x.shape, given.places, layout)

    arguments = (state, given, rows, begun)
    rows_apart = branches if mesh.size == 1 else 1
    return Program(
        name=STEP,
        calls=1,
        steps=steps,
        function=lambda state, given, rows, begun: denoise.scanned(graph, layout, state, given, rows, begun),
        arguments=arguments,
        donated=(3,),
        trips=layers * rows_apart,
        without_loop=Program(name="", calls=1, function=outside, arguments=arguments),
    )


def _pieces(mesh: Mesh, size: sizes.Size) -> list[Program]:
    layout = _layout(mesh)
    network = vae.Network.of(vae.abstract(VAE, "decoder", DTYPE), layout)
    frames = size.latents[0] - size.dropped
    first, *others = vae.pieces(frames, vae.LATENT_FRAMES)
    channels, rows, columns = size.latents[1:]
    params = everywhere(network.params, mesh)

    def laid(x: Any) -> Any:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=Layout(mesh).picture(x.shape))

    def piece(count: int) -> Any:
        return laid(jax.ShapeDtypeStruct((1, count, rows, columns, channels), DTYPE))

    found = [Program(name="decoder, first piece", calls=1, function=network.first, arguments=(params, piece(first)))]
    if others:
        caches = jax.tree.map(laid, network.caches(piece(first).shape))
        found.append(
            Program(
                name="decoder, a later piece",
                calls=len(others),
                function=network.next,
                arguments=(params, caches, piece(others[0])),
                donated=(1,),
            )
        )
    return found
