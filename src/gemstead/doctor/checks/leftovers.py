"""What nothing needs any more in the store: half-fetched files, quarantine, bytes without a record."""

from __future__ import annotations

from collections.abc import Iterator

from gemstead.catalog.clean import size_bytes_of
from gemstead.core.units import format_bytes
from gemstead.doctor.check import Check
from gemstead.doctor.finding import Finding
from gemstead.doctor.subject import Subject


def look(subject: Subject) -> Iterator[Finding]:
    leftovers = subject.store.leftovers()
    if not leftovers:
        yield Finding("ok", "the store holds nothing that no model needs")
        return
    num_bytes = sum(size_bytes_of(path) for path in leftovers)
    yield Finding(
        "note",
        f"{format_bytes(num_bytes)} in the store belong to no model",
        "cut pulls, which would go on from there, and files that were not what they should be",
        "gemstead models clean --dry-run",
        {"num_paths": len(leftovers), "num_bytes": num_bytes, "first": str(leftovers[0])},
    )


CHECK = Check(
    name="leftovers",
    group="models",
    looks_at="bytes in the store that no model needs",
    complains_when="never: it notes what `gemstead models clean` would free",
    look=look,
)
