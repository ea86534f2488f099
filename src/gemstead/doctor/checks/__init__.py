"""One file per check; each offers a `CHECK`."""
