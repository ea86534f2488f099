"""The admin API: what an operator changes and looks at, on a port or socket of its own, never on the door's."""
