"""Wiring: builds the parts from the settings. The only room that knows every concrete part."""
