"""Predicted memory against the engine's own report and against what the system counts, for generated weights."""
