"""Who may do what: keys and tokens, policy, limits."""
