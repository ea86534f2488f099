"""Tables that a command writes into a page of the documentation, each between two marks."""

from __future__ import annotations


def with_table(page: str, name: str, table: str) -> str:
    """`page` with `table`, which ends its last line, between `<!-- NAME -->` and `<!-- end of NAME -->`.

    Raises: ValueError if the page lacks the marks.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, is_begun, rest = page.partition(begin)
    _, is_ended, after = rest.partition(end)
    if not is_begun or not is_ended:
        raise ValueError(f"the page has no marks for {name}")
    return f"{before}{begin}{table}{end}{after}"
