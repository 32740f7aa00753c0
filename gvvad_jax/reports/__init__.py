"""Plots and the one page template: values in, files out; nothing here knows detectors or records."""
