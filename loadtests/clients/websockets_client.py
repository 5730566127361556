"""WebSockets with `websockets`: numbered messages, each sent until it is acknowledged, until the file STOP is there.

Says its counts as JSON. SITE is the host, PORT the port, CA the authority.
"""

import asyncio
import json
import os
import ssl

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

SITE, PORT, STOP = os.environ["SITE"], int(os.environ["PORT"]), os.environ["STOP"]
TLS = ssl.create_default_context(cafile=os.environ["CA"])
counts = {"ok": 0, "failed": 0, "reconnected": 0, "resent": 0, "acked": {}, "why": []}


def stop():
    return os.path.exists(STOP)


def failed(why):
    counts["failed"] += 1
    if len(counts["why"]) < 5:
        counts["why"].append(str(why))


class Client:
    def __init__(self, name):
        self.name, self.number, self.sent = name, 1, False

    async def session(self):
        """One connection, from the first unacknowledged message on."""
        url = f"wss://{SITE}:{PORT}/ws?client={self.name}"
        options = {"host": "127.0.0.1", "port": PORT, "ssl": TLS, "open_timeout": 60}
        async with connect(url, proxy=None, **options) as connection:
            release = None
            while not stop():
                self.sent = True
                await connection.send(str(self.number))
                back = await connection.recv()
                release = release or back.split()[1]
                if back != f"{self.number} {release}":
                    failed(f"{self.name} {self.number}: {back}")
                counts["ok"] += 1
                counts["acked"][self.name] = self.number
                self.number += 1
                self.sent = False
                await asyncio.sleep(0.01)

    async def run(self):
        while not stop():
            try:
                await self.session()
            except ConnectionClosed as closed:
                if closed.rcvd and closed.rcvd.code == 1001:
                    counts["reconnected"] += 1
                else:
                    failed(f"{self.name} {self.number}: {closed}")
            except (OSError, WebSocketException) as error:
                failed(f"{self.name} {self.number}: {error!r}")
            counts["resent"] += self.sent
            self.sent = False
            await asyncio.sleep(0.02)


async def main():
    await asyncio.gather(*(Client(f"websockets-{it}").run() for it in range(1, 6)))
    print(json.dumps(counts))


asyncio.run(main())
