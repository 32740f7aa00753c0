"""Features that others published, as records: their lists, where files lie, what arrays mean (docs/import.md)."""
