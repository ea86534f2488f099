"""What may be wrong here, and the command that fixes it: one file per check, one per decision path."""
