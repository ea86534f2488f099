"""gemstead: Gemma 4 on machines you control, behind one governed door."""

__version__ = "0.1.0"
