"""Changes to a copy of evidence, by someone who can write to every file, and what the verifier says of each."""
