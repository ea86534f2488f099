"""Which features of JSON schema an engine's grammar really holds, and what the door makes of the rest: by trying."""
