"""A server that answers every POST with the same bytes: what it reaches is what the load generator can reach.

python -m benchmarks.serving.constant PORT
"""

import asyncio
import re
import sys
from typing import Any

import uvloop

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
BODY = b'{"predictions":[0.5],"attention":[[' + b",".join([b"0.05123456"] * 20) + b"]]}"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Constant(asyncio.Protocol):
    """Counts the bytes of a request and answers."""

    def __init__(self) -> None:
        self.missing = 0

    def connection_made(self, transport: Any) -> None:
        """Remembers where to write."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Reads on; answers a whole request."""
        if not self.missing:
            end = data.find(b"\r\n\r\n") + 4
            found = LENGTH.search(data, 0, end)
            self.missing = end + (int(found[1]) if found else 0)
        self.missing -= len(data)
        if not self.missing:
            self.transport.write(ANSWER)


async def serve(port: int) -> None:
    """Serves for ever."""
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
