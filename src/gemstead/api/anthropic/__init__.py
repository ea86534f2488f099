"""The Anthropic API, as pure functions."""
