"""HTTP: routes, request ids, errors as each dialect writes them, disconnects, health and metrics."""
