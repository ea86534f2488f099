"""One pure file per API: found by listing this folder, so nothing else lives here."""
