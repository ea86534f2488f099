"""Prompts and replies, kept apart from the record and only where a policy says so: encrypted, a key for each person."""
