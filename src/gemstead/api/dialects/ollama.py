"""The Ollama dialect: generate, chat, embed, and the models of the store."""

from __future__ import annotations

import msgspec

from gemstead import __version__
from gemstead.api.dialect import ChatRoute, Dialect, EmbedRoute, FixedRoute, OrderRoute, RefusedRoute, WorkRoute
from gemstead.api.ollama import embed, models, orders, reply, request
from gemstead.api.ollama.errors import ErrorBody, encode_error
from gemstead.api.ollama.fields import CHAT_FIELDS, GENERATE_FIELDS
from gemstead.core.errors import GemsteadError, RequestInvalid

API_VERSION = "0.33.0"
"""The release of Ollama whose documented API is followed: clients compare it before they use newer fields."""

NDJSON = "application/x-ndjson"


def _no_push() -> GemsteadError:
    return RequestInvalid("models are not pushed", why="nothing leaves this machine through this server")


def _no_blobs() -> GemsteadError:
    return RequestInvalid(
        "files are not taken over HTTP", hint="gemstead models import FILE --name NAME, on the machine itself"
    )


CHAT = ChatRoute(
    summary="An answer to a conversation, one JSON object a line unless `stream` is false.",
    request_type=request.OllamaChatRequest,
    reply_type=reply.ChatBody,
    path="/api/chat",
    stream_media_type=NDJSON,
    decode=request.decode_chat,
    encode_reply=reply.encode_chat_reply,
    new_stream=reply.chat_stream,
)

GENERATE = ChatRoute(
    summary="An answer to one prompt, one JSON object a line unless `stream` is false.",
    request_type=request.OllamaGenerateRequest,
    reply_type=reply.GenerateBody,
    path="/api/generate",
    stream_media_type=NDJSON,
    decode=request.decode_generate,
    encode_reply=reply.encode_generate_reply,
    new_stream=reply.generate_stream,
)

DIALECT = Dialect(
    name="ollama",
    title="Ollama",
    source="https://docs.ollama.com/api",
    path_prefix="/api/",
    routes=(
        CHAT,
        GENERATE,
        EmbedRoute(
            summary="Vectors for texts.",
            request_type=embed.OllamaEmbedRequest,
            reply_type=embed.EmbedBody,
            path="/api/embed",
            decode=embed.decode_embed,
            encode_reply=embed.encode_embed,
        ),
        EmbedRoute(
            summary="A vector for one text, as older clients ask for it.",
            request_type=embed.OllamaEmbeddingsRequest,
            reply_type=embed.EmbeddingsBody,
            path="/api/embeddings",
            decode=embed.decode_embeddings,
            encode_reply=embed.encode_embeddings,
        ),
        OrderRoute(
            summary="The models of the store.",
            reply_type=models.TagsBody,
            method="GET",
            path="/api/tags",
            decode=orders.decode_list,
            encode=models.encode_tags,
        ),
        OrderRoute(
            summary="The models that are loaded.",
            reply_type=models.LoadedListBody,
            method="GET",
            path="/api/ps",
            decode=orders.decode_loaded,
            encode=models.encode_loaded,
        ),
        OrderRoute(
            summary="All about one model of the store.",
            request_type=orders.NamedRequest,
            reply_type=models.ShowBody,
            method="POST",
            path="/api/show",
            decode=orders.decode_show,
            encode=models.encode_show,
        ),
        OrderRoute(
            summary="Gives a model of the store a second name.",
            request_type=orders.OllamaCopyRequest,
            reply_type=models.StepBody,
            method="POST",
            path="/api/copy",
            decode=orders.decode_copy,
            encode=models.encode_success,
        ),
        OrderRoute(
            summary="Removes a model from the store.",
            request_type=orders.NamedRequest,
            reply_type=models.StepBody,
            method="DELETE",
            path="/api/delete",
            decode=orders.decode_delete,
            encode=models.encode_success,
        ),
        WorkRoute(
            summary="Brings a model into the store, telling how far it is.",
            request_type=orders.OllamaPullRequest,
            reply_type=models.StepBody,
            path="/api/pull",
            stream_media_type=NDJSON,
            decode=orders.decode_pull,
            encode_step=models.encode_step,
            encode_done=models.encode_done,
            encode_failure=lambda error: encode_error(error) + b"\n",
        ),
        WorkRoute(
            summary="Makes a model out of one of the store: a system prompt and sampling of its own.",
            request_type=orders.OllamaCreateRequest,
            reply_type=models.StepBody,
            path="/api/create",
            stream_media_type=NDJSON,
            decode=orders.decode_create,
            encode_step=models.encode_step,
            encode_done=models.encode_done,
            encode_failure=lambda error: encode_error(error) + b"\n",
        ),
        RefusedRoute(summary="Refused: models are not pushed.", path="/api/push", error=_no_push),
        RefusedRoute(summary="Refused: files are not taken over HTTP.", path="/api/blobs/{digest}", error=_no_blobs),
        FixedRoute(
            summary="The version of the API that is followed, and of gemstead.",
            path="/api/version",
            media_type="application/json",
            body=msgspec.json.encode({"version": f"{API_VERSION}+gemstead.{__version__}"}),
        ),
        FixedRoute(
            summary="Says that the server is there: clients look for it before they send anything.",
            path="/",
            media_type="text/plain",
            body=b"gemstead is running",
        ),
    ),
    encode_error=encode_error,
    fields=CHAT_FIELDS | GENERATE_FIELDS,
    error_type=ErrorBody,
)
