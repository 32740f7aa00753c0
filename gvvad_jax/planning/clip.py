"""CLIP's image tower over a batch, with weights of the published sizes that nobody has to have."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gvvad_jax.models import clip as network
from gvvad_jax.planning.programs import Program, everywhere

DTYPE = jnp.bfloat16
_TEXT = network.Tower(512, 2048, 1, 8, 1e-5, "quick_gelu")  # is not compiled
SIZES = {  # width, inner, layers, heads, pixels, patch, projection
    "clip-base32": (768, 3072, 12, 12, 224, 32, 512),
    "clip-base16": (768, 3072, 12, 12, 224, 16, 512),
    "clip-large": (1024, 4096, 24, 16, 224, 14, 768),
    "clip-large-336": (1024, 4096, 24, 16, 336, 14, 768),
}


def program(model: str, mesh: Mesh, batch: int) -> Program:
    """Bytes to projected vectors, the batch split over all chips."""
    width, inner, layers, heads, size, patch, projection = SIZES[model]
    tower = network.Tower(width, inner, layers, heads, 1e-5, "quick_gelu")
    sizes = network.Config(tower, _TEXT, projection, size, patch, 49408, 77, 49407)
    graph, state = nnx.split(nnx.eval_shape(lambda: network.Clip(sizes, DTYPE, "tpu")))
    state = everywhere(state, mesh)
    rows = PartitionSpec(mesh.axis_names)
    split = NamedSharding(mesh, rows)
    images = jax.ShapeDtypeStruct((batch, size, size, 3), jnp.uint8, sharding=split)

    def encode(state: Any, images: jax.Array, has_blocks: bool = True) -> jax.Array:
        model = nnx.merge(graph, state)
        pixels = network.looked_up(jnp.asarray(network.table_of_pixels()), images, "tpu")
        if has_blocks:
            return model.encode_image(pixels)
        return model.vision.after(model.vision.embed(pixels)[:, 0]) @ model.image_projection[...]

    def split_over(function: Any) -> Program:
        own = jax.shard_map(function, mesh=mesh, in_specs=(PartitionSpec(), rows), out_specs=rows, check_vma=False)
        return Program(name=f"{model}, {batch} images", calls=1, function=own, arguments=(state, images))

    outside = split_over(functools.partial(encode, has_blocks=False))
    return dataclasses.replace(split_over(encode), trips=layers, without_loop=outside)
