"""Pretrained networks in Flax NNX, one file each."""
