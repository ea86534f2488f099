"""One file per document; each offers `DOCUMENT`."""
