"""Training: the mesh, the state, one step, the loop around it, and its checkpoints."""

from gvvad_jax.training.one_batch import Result, adam_step, loss_and_gradients

__all__ = ["Result", "adam_step", "loss_and_gradients"]
