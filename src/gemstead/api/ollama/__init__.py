"""The Ollama API, as pure functions."""
