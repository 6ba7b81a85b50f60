"""Thresholds from labelled texts: the best ones, and ones with a promise."""
