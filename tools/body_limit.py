"""body_limit: hooks for httpx clients, so that no answer is larger than it may be once it is unzipped."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 64 << 20
ENCODINGS = "gzip, deflate"
"""To be sent as Accept-Encoding: what is unzipped here, a piece at a time."""
TOO_LARGE = f"answer is larger than {MOST_BYTES >> 20} MiB"
_PIECE = 1 << 20


async def bounded(response: httpx.Response) -> None:
    """A response hook of an AsyncClient. Reading raises httpx.DecodingError past `MOST_BYTES`."""
    _bound(response)


def bounded_now(response: httpx.Response) -> None:
    """A response hook of a Client."""
    _bound(response)


def bounding(
    handle: Callable[[httpx.Request], Awaitable[httpx.Response]],
) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    """`handle_async_request` of somebody else's transport, with the same limit."""

    async def handle_async_request(request: httpx.Request) -> httpx.Response:
        request.headers["Accept-Encoding"] = ENCODINGS
        response = await handle(request)
        _bound(response)
        return response

    return handle_async_request


def bound_client(client: object) -> None:
    """Give the AsyncClient inside an SDK's client (`_client`, or two of them) the limit, where there is one."""
    import httpx

    for _ in range(3):
        client = getattr(client, "_client", None)
        if isinstance(client, httpx.AsyncClient):
            client.headers["Accept-Encoding"] = ENCODINGS
            client.event_hooks = {
                **client.event_hooks,
                "response": [bounded, *client.event_hooks.get("response", ())],
            }
            return


def _bound(response: httpx.Response) -> None:
    encoding = response.headers.pop("content-encoding", "").strip().lower()
    response.stream = _body_class()(response.stream, encoding)


class _Unzipper:
    def __init__(self, encoding: str) -> None:
        import httpx

        self._error = httpx.DecodingError
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise self._error(f"the answer is encoded as {encoding}, which was not asked for")
        self._zip = zlib.decompressobj(47) if encoding not in ("", "identity") else None
        self._left = MOST_BYTES

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._zip is None:
                piece, data = data, b""
            else:
                try:
                    piece = self._zip.decompress(data, _PIECE)
                except zlib.error as error:
                    raise self._error(f"the answer is not what its encoding says ({error})") from error
                data = self._zip.unconsumed_tail
            self._left -= len(piece)
            if self._left < 0:
                raise self._error(f"the {TOO_LARGE}")
            if piece:
                yield piece


@cache
def _body_class() -> type[Any]:
    import httpx

    class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
        """A response's stream, unzipped and counted."""

        def __init__(self, stream: Any, encoding: str) -> None:
            self._stream, self._encoding = stream, encoding

        def __iter__(self) -> Iterator[bytes]:
            unzipper = _Unzipper(self._encoding)
            for data in self._stream:
                yield from unzipper.feed(data)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            unzipper = _Unzipper(self._encoding)
            async for data in self._stream:
                for piece in unzipper.feed(data):
                    yield piece

        def close(self) -> None:
            self._stream.close()

        async def aclose(self) -> None:
            await self._stream.aclose()

    return Body
