"""Field x dialect x engine: what becomes of each field of each request, by sending it."""
