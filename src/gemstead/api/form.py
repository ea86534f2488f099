"""A call asked with a multipart form, as uploads are: read whole and bounded, nothing of it on disk."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import msgspec
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from gemstead.api.call import Call
from gemstead.api.chat import ExchangeReply
from gemstead.api.dialect import Form, FormFile, FormRoute
from gemstead.api.hosts import check_origin
from gemstead.api.services import Services
from gemstead.core.errors import RequestInvalid

if TYPE_CHECKING:
    from starlette.datastructures import FormData

MULTIPART = "multipart/form-data"
MAX_FIELDS = 256
MAX_FILES = 1
MAX_FIELD_BYTES = 64 * 1024


class FormEndpoint(msgspec.Struct, frozen=True):
    services: Services
    route: FormRoute

    async def __call__(self, call: Call) -> None:
        call.require_method("POST")
        check_origin(call.header(b"origin"), call.header(b"host"), self.services.origins)
        form = await read_form(call, self.services.max_body_bytes, self.services.body_limit_s)
        await ExchangeReply(self.services, self.route).send(call, self.route.decode(form))


async def read_form(call: Call, max_bytes: int, limit_s: float) -> Form:
    """Raises: RequestInvalid for what is no form, or one with too many or too large fields; as `Call.read_body`."""
    body = await call.read_body(MULTIPART, max_bytes, limit_s)
    parser = MultiPartParser(
        Headers(raw=[(b"content-type", (call.header(b"content-type") or "").encode("latin-1"))]),
        _whole(body),
        max_files=MAX_FILES,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    # The body is in memory already: a file of it goes to no disk.
    parser.spool_max_size = max_bytes
    try:
        parsed = await parser.parse()
    except MultiPartException as exc:
        raise RequestInvalid("the body is not a form as it should be", why=exc.message) from exc
    try:
        return await _form_of(parsed)
    finally:
        await parsed.close()


async def _whole(body: bytes) -> AsyncGenerator[bytes]:
    yield body


async def _form_of(parsed: FormData) -> Form:
    fields: dict[str, tuple[str, ...]] = {}
    files: dict[str, FormFile] = {}
    for name, value in parsed.multi_items():
        if isinstance(value, str):
            fields[name] = (*fields.get(name, ()), value)
        else:
            files[name] = FormFile(value.filename or "", (value.content_type or "").lower(), await value.read())
    return Form(fields, files)
