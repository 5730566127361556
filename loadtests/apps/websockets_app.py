"""A WebSocket server with `websockets`: an echo of numbered messages.

What is written to the file `messages` beside LEDGER, `CLIENT NUMBER RELEASE`, is written before it is acknowledged.
RELEASE, LEDGER and PORT come from the environment.
"""

import asyncio
import os
import signal
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

RELEASE = os.environ["RELEASE"]
MESSAGES = os.open(
    os.path.join(os.path.dirname(os.environ["LEDGER"]), "messages"),
    os.O_WRONLY | os.O_APPEND | os.O_CREAT,
)


def up(connection, request):
    if request.path == "/up":
        return connection.respond(200, "ready\n")
    return None


async def echo(connection):
    client = parse_qs(urlsplit(connection.request.path).query)["client"][0]
    try:
        async for message in connection:
            os.write(MESSAGES, f"{client} {message} {RELEASE}\n".encode())
            await connection.send(f"{message} {RELEASE}")
    except ConnectionClosed:
        pass


async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    port = int(os.environ["PORT"])
    async with serve(echo, "127.0.0.1", port, process_request=up, backlog=4096):
        await stop.wait()


asyncio.run(main())
