"""Reading a body whole, and no further than its cap: the size counts after decompression, chunk by chunk."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, Sequence

import httpx

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS


class AnswerTooLarge(httpx.RequestError):
    """A body grew beyond the cap; asking again would give the same.

    answer  status and headers, without the body, for those who need no more.
    """

    answer: httpx.Response | None = None


class AnswerCutOff(httpx.RemoteProtocolError):
    """The connection ended before the body did."""


class _Inflater:
    """Decompresses one gzip or deflate body without ever holding more than was asked for.

    Raises httpx.DecodingError for damaged data and, at the end, for a body that was cut off.
    """

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding != "deflate"
        self._stream = zlib.decompressobj(_GZIP if self._gzip else _ZLIB)
        self._begun = False

    def feed(self, chunk: bytes, room: int) -> bytes:
        """The next plain bytes: at most one byte more than `room`, which is how too much shows."""
        plain = bytearray()
        while chunk and len(plain) <= room:
            if self._stream.eof:
                if not self._gzip or not chunk.strip(b"\0"):
                    break
                self._stream = zlib.decompressobj(_GZIP)
            plain += self._inflate(chunk, room + 1 - len(plain))
            chunk = self._stream.unused_data or self._stream.unconsumed_tail
        return bytes(plain)

    def _inflate(self, chunk: bytes, room: int) -> bytes:
        try:
            plain = self._stream.decompress(chunk, room)
        except zlib.error as error:
            # Some servers send "deflate" without the zlib wrapper that RFC 9110 asks for.
            if self._begun or self._gzip:
                raise httpx.DecodingError("the compressed body is damaged") from error
            self._begun = True
            self._stream = zlib.decompressobj(_RAW_DEFLATE)
            return self._inflate(chunk, room)
        self._begun = True
        return plain

    def finish(self) -> None:
        if self._begun and not self._stream.eof:
            raise httpx.DecodingError("the compressed body was cut off")


def _inflaters(encodings: Sequence[str]) -> list[_Inflater]:
    found = []
    for encoding in encodings:
        name = encoding.strip().lower()
        if name in {"gzip", "x-gzip", "deflate"}:
            found.append(_Inflater(name))
        elif name not in {"", "identity"}:
            raise httpx.DecodingError(f"the body has an encoding that was not asked for: {name[:20]}")
    if len(found) > 1:
        raise httpx.DecodingError("the body is compressed more than once")
    return found


async def read_body(chunks: AsyncIterable[bytes], encodings: Sequence[str], *, max_bytes: int) -> bytes:
    """The whole plain body.

    encodings  the values of Content-Encoding.
    max_bytes  most plain bytes; one more raises AnswerTooLarge, whatever was received by then.
    Raises httpx.DecodingError for a damaged or cut off compressed body.
    """
    inflaters = _inflaters(encodings)
    body = bytearray()
    async for chunk in chunks:
        room = max_bytes - len(body)
        body += inflaters[0].feed(chunk, room) if inflaters else chunk
        if len(body) > max_bytes:
            raise AnswerTooLarge(f"the answer is larger than {max_bytes} bytes")
    for inflater in inflaters:
        inflater.finish()
    return bytes(body)
