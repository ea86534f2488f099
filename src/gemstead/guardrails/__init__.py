"""Guards: they see each text with where it comes from, say what they found, and change, hold or refuse it."""
