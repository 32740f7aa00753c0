"""Models behind an OpenAI-compatible endpoint: one request at a time, and answers that are never paid for twice."""
