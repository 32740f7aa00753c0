"""A trained bundle on videos of one's own: scores, curves, pages."""
