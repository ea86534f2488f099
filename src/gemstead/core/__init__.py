"""Canonical types, errors, units, plugin lookup. Imports nothing of ours."""
