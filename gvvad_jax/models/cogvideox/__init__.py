"""CogVideoX (Yang et al., 2024): text to video."""
