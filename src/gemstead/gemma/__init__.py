"""What is particular to Gemma 4: template, control tokens, parsers. Pure: no I/O, no engine."""
