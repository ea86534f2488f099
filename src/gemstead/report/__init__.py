"""Documents about an installation, filled from what it is: facts in, Markdown, HTML and PDF out. Pure."""
