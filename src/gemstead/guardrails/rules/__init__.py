"""One file per guard, each with its `GUARD`; they are found by listing this folder."""
