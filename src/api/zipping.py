"""Big answers, packed for clients that can unpack them."""

import asyncio
import gzip
from typing import Any, Final

import msgspec
from litestar import Request, Response

SMALL: Final = 4_096
LEVEL: Final = 5

_encoder = msgspec.json.Encoder()


async def gzipped(request: Request[Any, Any, Any], answer: object) -> Response[bytes]:
    """Return *answer* as JSON, packed if that is worth it and understood."""
    return await packed(request, _encoder.encode(answer))


async def packed(request: Request[Any, Any, Any], data: bytes) -> Response[bytes]:
    """Return JSON *data*, packed if that is worth it and understood."""
    headers = {"Vary": "Accept-Encoding"}
    if len(data) >= SMALL and accepts_gzip(request):
        data = await asyncio.to_thread(gzip.compress, data, LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(data, media_type="application/json", headers=headers)


def accepts_gzip(request: Request[Any, Any, Any]) -> bool:
    """Tell whether the client says that it can unpack gzip."""
    for offer in request.headers.get("accept-encoding", "").split(","):
        name, _, weight = offer.partition(";")
        if name.strip().lower() in {"gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0"}
    return False
