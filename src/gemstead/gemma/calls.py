"""One tool call as Gemma 4 writes it between its tokens: `call:get_weather{city:<|"|>Oslo<|"|>}`."""

from __future__ import annotations

import re

import msgspec

from gemstead.gemma.values import Arguments, ValueInvalid, read_arguments

_HEAD = re.compile(r"""\s*(call\s*:)?\s*(?!:)([^\s{}\[\]()<>"',]{1,256})(?<!:)\s*(?={|$)""")


class ParsedCall(msgspec.Struct, frozen=True):
    """`arguments` is the JSON text of an object. `is_repaired`: not written by the rules, but with one meaning only."""

    name: str
    arguments: str
    is_repaired: bool


class _JsonCall(msgspec.Struct, forbid_unknown_fields=True):
    """How other models write a call."""

    name: str
    arguments: msgspec.Raw = msgspec.Raw()
    parameters: msgspec.Raw = msgspec.Raw()


def read_call(text: str, *, is_whole: bool) -> ParsedCall:
    """The call in `text`, which is all that stood between the tokens.

    `is_whole`: the model itself has ended it. Only then may brackets be missing at its end; in a reply that was cut,
    arguments may be.

    Raises: ValueInvalid if it cannot be read, or only by guessing.
    """
    head = _HEAD.match(text)
    if head is None:
        return _read_json_call(text, is_whole)
    if head.end() == len(text):
        if not is_whole or head[1] is None:
            raise ValueInvalid(f"a call without arguments: {text[:40]!r}")
        return ParsedCall(head[2], "{}", is_repaired=True)
    arguments = read_arguments(text, head.end(), may_close=is_whole)
    has_slip = _has_extra_brackets(text, arguments) or head[1] is None
    return ParsedCall(head[2], arguments.json_text, is_repaired=arguments.is_repaired or has_slip)


def _has_extra_brackets(text: str, arguments: Arguments) -> bool:
    """A closing bracket too many is a slip. Raises: ValueInvalid if anything else follows the arguments."""
    rest = text[arguments.end :].strip()
    if rest.strip("}"):
        raise ValueInvalid(f"text after the arguments: {rest[:40]!r}")
    return bool(rest)


def _read_json_call(text: str, is_whole: bool) -> ParsedCall:
    text = text.strip()
    outer = read_arguments(text, may_close=is_whole)
    _has_extra_brackets(text, outer)
    try:
        call = msgspec.json.decode(outer.json_text, type=_JsonCall)
    except msgspec.ValidationError as exc:
        raise ValueInvalid(f"no call: {text[:40]!r}") from exc
    arguments = bytes(call.arguments or call.parameters)
    if not call.name or not arguments.startswith(b"{"):
        raise ValueInvalid(f"a call without arguments: {text[:40]!r}")
    return ParsedCall(call.name, arguments.decode(), is_repaired=True)
