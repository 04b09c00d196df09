"""Who can use this Ollama, by which path, and what to do about it."""

__version__ = "0.1.0"
