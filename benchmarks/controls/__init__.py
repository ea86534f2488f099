"""Whether each control has a test that fails without it: the table of the OWASP documents, proven by running it."""
