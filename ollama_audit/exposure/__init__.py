"""Who can reach Ollama and by which path: pure functions of a snapshot."""
