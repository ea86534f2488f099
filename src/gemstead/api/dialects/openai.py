"""The OpenAI dialect: chat completions, responses, completions, embeddings, transcriptions and models."""

from __future__ import annotations

from gemstead.api.dialect import (
    ChatRoute,
    Dialect,
    EmbedRoute,
    FormRoute,
    ModelsRoute,
    RefusedRoute,
    ResponsesRoute,
)
from gemstead.api.errors import NoGuard, PathUnknown
from gemstead.api.openai import completions, transcriptions
from gemstead.api.openai.embeddings import EmbeddingList, EmbeddingRequest, decode_embedding, encode_embeddings
from gemstead.api.openai.errors import ErrorReply, encode_error
from gemstead.api.openai.fields import ALL_FIELDS
from gemstead.api.openai.models import ModelBody, ModelList, encode_list, encode_one
from gemstead.api.openai.reply import ChatStream, Completion, encode_reply
from gemstead.api.openai.request import ChatCompletionRequest, decode_chat
from gemstead.api.openai.responses.body import ResponseBody
from gemstead.api.openai.responses.keep import (
    Deleted,
    InputTokens,
    ItemList,
    encode_deleted,
    encode_input_tokens,
    encode_items,
)
from gemstead.api.openai.responses.reply import encode_response
from gemstead.api.openai.responses.request import ResponsesRequest, decode_response
from gemstead.api.openai.responses.stream import ResponseStream


def _no_guard() -> NoGuard:
    """Any verdict would be taken for a judgement. 404, because official clients send a request with a 5xx again."""
    return NoGuard(
        "nothing here judges texts yet",
        why="the guards that will are not built, and an answer that nothing was flagged would be made up",
        hint="judge the text by another service",
    )


DIALECT = Dialect(
    name="openai",
    title="OpenAI",
    source="https://platform.openai.com/docs/api-reference",
    path_prefix="/",
    routes=(
        ChatRoute(
            path="/v1/chat/completions",
            stream_media_type="text/event-stream",
            decode=decode_chat,
            encode_reply=encode_reply,
            new_stream=ChatStream,
            summary="Answer a conversation",
            request_type=ChatCompletionRequest,
            reply_type=Completion,
        ),
        RefusedRoute(
            path="/v1/responses/compact",
            error=lambda: PathUnknown("conversations are not compacted", hint="see truncation: auto"),
            summary="Not offered: compact a conversation",
        ),
        ResponsesRoute(
            path="/v1/responses",
            stream_media_type="text/event-stream",
            decode=decode_response,
            encode_reply=encode_response,
            new_stream=ResponseStream,
            encode_count=encode_input_tokens,
            encode_items=encode_items,
            encode_deleted=encode_deleted,
            summary="Answer, and go on from an earlier answer",
            request_type=ResponsesRequest,
            reply_type=ResponseBody,
            count_type=InputTokens,
            items_type=ItemList,
            deleted_type=Deleted,
        ),
        ChatRoute(
            path="/v1/completions",
            stream_media_type="text/event-stream",
            decode=completions.decode_completion,
            encode_reply=completions.encode_reply,
            new_stream=completions.CompletionStream,
            summary="Continue a text",
            request_type=completions.CompletionRequest,
            reply_type=completions.Completion,
        ),
        EmbedRoute(
            path="/v1/embeddings",
            decode=decode_embedding,
            encode_reply=encode_embeddings,
            summary="Vectors for texts",
            request_type=EmbeddingRequest,
            reply_type=EmbeddingList,
        ),
        FormRoute(
            path="/v1/audio/transcriptions",
            stream_media_type="text/event-stream",
            decode=transcriptions.decode_transcription,
            encode_reply=transcriptions.encode_reply,
            new_stream=transcriptions.TranscriptionStream,
            reply_media_type=transcriptions.reply_media_type,
            summary="Write down what a recording says",
            request_type=transcriptions.TranscriptionForm,
            reply_type=transcriptions.Transcription,
        ),
        RefusedRoute(path="/v1/moderations", error=_no_guard, summary="Not offered yet: judge a text"),
        ModelsRoute(
            path="/v1/models",
            encode_list=encode_list,
            encode_one=encode_one,
            summary="The models on offer",
            reply_type=ModelList,
            item_type=ModelBody,
        ),
    ),
    encode_error=encode_error,
    fields=ALL_FIELDS,
    error_type=ErrorReply,
)
"""Its prefix is the root: it is also the shape of errors on paths that no dialect owns."""
