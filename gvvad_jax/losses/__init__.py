"""Loss terms that detectors share, and synthetic sample loss scaling."""
