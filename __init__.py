"""swe_agent: an issue becomes a verified patch, and every run becomes training data."""

__version__ = "0.1.0"
