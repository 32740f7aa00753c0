"""Video in and out: decode in worker processes, snippets, crops and tiles, encode. Nothing here is learnt."""
