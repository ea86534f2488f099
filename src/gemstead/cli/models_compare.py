"""`gemstead models compare`: what the licences of local model families allow and ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gemstead.cli import options

if TYPE_CHECKING:
    from gemstead.catalog.families import Family


def compare(json: options.Json = False) -> None:
    """Compare families of local models: licence, duties, commercial use, modalities, context. No legal advice."""
    from gemstead.catalog.families import load_families
    from gemstead.cli.output import print_json, print_table

    families = load_families()
    if json:
        print_json("families/1", list(families))
        return
    rows = [
        (family.title, family.licence, _business(family), " ".join(family.modalities), family.max_context)
        for family in families
    ]
    print_table(("family", "licence", "commercial use", "modalities", "context"), rows)
    for family in families:
        print(f"\n{family.title} ({family.licence_url})")
        print(f"  commercial use: {family.commercial_use}")
        for duty in family.obligations:
            print(f"  - {duty}")
        for note in family.notes:
            print(f"  note: {note}")
        print(f"  read {family.read}: {' '.join(family.sources)}")


def _business(family: Family) -> str:
    return "yes" if family.is_free_for_business else "with conditions"
