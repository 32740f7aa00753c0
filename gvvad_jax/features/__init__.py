"""Video to snippets' vectors: encoders, motion, and the walk over a data set that writes feature records."""
