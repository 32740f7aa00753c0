"""CogVideoX (Yang et al., 2024): text to video, by a diffusion transformer over the latents of a causal 3-D VAE.

`load` reads a diffusers folder of the forms 2B, 5B, 1.5 and their image-to-video kin.
"""

from gvvad_jax.models.cogvideox.pipeline import Pipeline as Pipeline
from gvvad_jax.models.cogvideox.pipeline import load as load
