"""kill -9 at random moments: nothing that was acknowledged is missing, and the chain shows the cut."""
