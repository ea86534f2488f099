"""One file per classic complaint; each offers a `PATH` that leads from the symptom to the cause."""
