"""What of a transformer's config.json shapes CogVideoX's network: 2B, 5B, 1.5 and both image-to-video forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CLASS = "CogVideoXTransformer3DModel"
# What this network does in one way alone; a config that says otherwise is of another network.
FIXED: dict[str, Any] = {
    "activation_fn": "gelu-approximate",
    "timestep_activation_fn": "silu",
    "norm_elementwise_affine": True,
    "attention_bias": True,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sizes; `sample_*` are the native latents' rows and columns, and the native clip's frames."""

    heads: int
    head_width: int
    layers: int
    inputs: int  # channels: twice those of the latents where an image comes with them
    outputs: int
    text_width: int
    time_width: int
    text_tokens: int
    patch: int
    frame_patch: int | None  # frames a patch (version 1.5), else None
    sample_rows: int
    sample_columns: int
    sample_frames: int
    compression: int  # frames a latent frame
    epsilon: float
    spatial_scale: float
    temporal_scale: float
    is_rotary: bool
    has_table: bool  # a stored table of positions (5B image-to-video)
    ofs_width: int | None

    @property
    def width(self) -> int:
        """Of a token."""
        return self.heads * self.head_width

    @property
    def frames_together(self) -> int:
        """Latent frames that one token stands for."""
        return self.frame_patch or 1

    @property
    def takes_image(self) -> bool:
        """Whether a first frame comes with the latents."""
        return self.inputs != self.outputs

    @classmethod
    def of(cls, found: Mapping[str, Any], where: str) -> "Config":
        """From a diffusers config; what this network does not do is refused."""
        for key, value in FIXED.items():
            if found.get(key, value) != value:
                raise ValueError(f"{where}: {key} is {found[key]!r}, but this network is written for {value!r}.")
        try:
            own = cls(
                heads=int(found["num_attention_heads"]),
                head_width=int(found["attention_head_dim"]),
                layers=int(found["num_layers"]),
                inputs=int(found["in_channels"]),
                outputs=int(found["out_channels"]),
                text_width=int(found["text_embed_dim"]),
                time_width=int(found["time_embed_dim"]),
                text_tokens=int(found["max_text_seq_length"]),
                patch=int(found["patch_size"]),
                frame_patch=None if found.get("patch_size_t") is None else int(found["patch_size_t"]),
                sample_rows=int(found["sample_height"]),
                sample_columns=int(found["sample_width"]),
                sample_frames=int(found["sample_frames"]),
                compression=int(found.get("temporal_compression_ratio", 4)),
                epsilon=float(found.get("norm_eps", 1e-5)),
                spatial_scale=float(found.get("spatial_interpolation_scale", 1.875)),
                temporal_scale=float(found.get("temporal_interpolation_scale", 1.0)),
                is_rotary=bool(found.get("use_rotary_positional_embeddings", False)),
                has_table=bool(found.get("use_learned_positional_embeddings", False)),
                ofs_width=None if found.get("ofs_embed_dim") is None else int(found["ofs_embed_dim"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{where} lacks a size of the network ({error}); fetch it again.") from None
        empty = [name for name, value in vars(own).items() if type(value) is int and value < 1]
        if empty:
            raise ValueError(f"{where}: {empty[0]} is {vars(own)[empty[0]]}, but at least 1 is needed; fetch it again.")
        if own.width % 16 or own.head_width % 16 or own.inputs not in (own.outputs, 2 * own.outputs):
            raise ValueError(
                f"{where}: {own.heads} heads of {own.head_width}, {own.inputs} channels in and {own.outputs} out are "
                "no form of CogVideoX; fetch it again."
            )
        if own.ofs_width not in (None, own.time_width):
            raise ValueError(f"{where}: ofs_embed_dim and time_embed_dim differ, but one is added to the other.")
        if own.frame_patch and not own.is_rotary:
            raise ValueError(f"{where}: patches over time need rotary positions; fetch it again.")
        return own
