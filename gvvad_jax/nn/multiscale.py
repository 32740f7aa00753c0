"""The multi-scale temporal network of RTFM ("Aggregate"), which TEVAD and LAP share: convolutions of three reaches and
a non-local block beside each other, joined by a last convolution, plus the input.

Padding is masked away after every ReLU and every normalisation, whose bias would fill it, and the affinity is divided
by the true length: a padded video gives what it gives alone.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from gvvad_jax.nn import norm, temporal


def masked(x: Float[Array, "*batch width"], mask: Bool[Array, "*#batch"]) -> Float[Array, "*batch width"]:
    """Zero the rows outside the mask."""
    return jnp.where(mask[..., None], x, 0)


class NonLocal(nnx.Module):
    """x + norm(W((theta(x) phi(x)ᵀ / T) g(x))): every segment looks at all others, without softmax.

    As nothing stands between the two products, theta (phiᵀ g) / T is the same and needs no T x T table: a video of ten
    thousand snippets costs what its length costs. The norm's weight starts at 0, so the block starts as the identity.
    """

    def __init__(self, width: int, *, rng: np.random.Generator):
        """Inner width is half of `width`."""
        inner = max(1, width // 2)
        self.g = temporal.Convolution(width, inner, 1, rng=rng)
        self.theta = temporal.Convolution(width, inner, 1, rng=rng)
        self.phi = temporal.Convolution(width, inner, 1, rng=rng)
        self.out = temporal.Convolution(inner, width, 1, rng=rng)
        self.norm = norm.BatchNorm(width, scale=0.0)

    def __call__(
        self,
        x: Float[Array, "*batch time width"],
        mask: Bool[Array, "*#batch time"],
        statistics: norm.Statistics = "running",
        copies: int = 1,
    ) -> Float[Array, "*batch time width"]:
        """Add to each row what the whole video says of it."""
        length = jnp.maximum(jnp.sum(mask, -1, dtype=x.dtype), 1)[..., None, None]
        theta, phi = self.theta(x), self.phi(x)
        g = masked(self.g(x), mask)  # its bias stands in the padding; phi's then meets zeros
        table = jnp.einsum("...ti,...tj->...ij", phi, g) / length
        y = self.norm(self.out(theta @ table), mask, statistics, copies)
        return masked(y + x, mask)


class MultiScale(nnx.Module):
    """Rows of `width` in and out, inner width a quarter of it (512 at 2048)."""

    def __init__(self, width: int, *, rng: np.random.Generator):
        """Any width: the last convolution maps the four branches back, which released programs need 4 to divide."""
        inner = max(1, width // 4)
        self.conv_1 = temporal.Convolution(width, inner, 3, dilation=1, rng=rng)
        self.conv_2 = temporal.Convolution(width, inner, 3, dilation=2, rng=rng)
        self.conv_3 = temporal.Convolution(width, inner, 3, dilation=4, rng=rng)
        self.conv_4 = temporal.Convolution(width, inner, 1, bias=False, rng=rng)
        self.conv_5 = temporal.Convolution(4 * inner, width, 3, bias=False, rng=rng)
        self.norm_1, self.norm_2, self.norm_3 = (norm.BatchNorm(inner) for _ in range(3))
        self.norm_5 = norm.BatchNorm(width)
        self.non_local = NonLocal(inner, rng=rng)

    def __call__(
        self,
        x: Float[Array, "*batch time width"],
        mask: Bool[Array, "*#batch time"],
        statistics: norm.Statistics = "running",
        copies: int = 1,
    ) -> Float[Array, "*batch time width"]:
        """Mix each row with its neighbours; rows outside the mask come back zero; `copies`: see nn/norm.py."""
        x = masked(x, mask)

        def scale(convolution: temporal.Convolution, normalise: norm.BatchNorm, x: Array) -> Array:
            return masked(normalise(masked(jax.nn.relu(convolution(x)), mask), mask, statistics, copies), mask)

        branches = [
            scale(self.conv_1, self.norm_1, x),
            scale(self.conv_2, self.norm_2, x),
            scale(self.conv_3, self.norm_3, x),
            self.non_local(masked(jax.nn.relu(self.conv_4(x)), mask), mask, statistics, copies),
        ]
        return x + scale(self.conv_5, self.norm_5, jnp.concatenate(branches, -1))
