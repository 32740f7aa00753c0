"""Readers of published tensors that run nothing from a file, and strict tables from published names to ours."""
