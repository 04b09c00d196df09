"""The base image: a Debian tree with a real Ollama server, made once and cached."""
