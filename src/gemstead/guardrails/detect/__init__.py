"""How values are recognised: formats, checksums and the words around them. Pure; every expression is linear in time."""
