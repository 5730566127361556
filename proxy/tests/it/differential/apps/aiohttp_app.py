"""An aiohttp server that says what it saw: `X-Saw: METHOD TARGET LENGTH CRC32`. HOST and PORT come from the environment."""

import asyncio
import os
import zlib

from aiohttp import web


async def tell(request):
    body = await request.read()
    saw = f"{request.method} {request.raw_path} {len(body)} {zlib.crc32(body):08x}"
    return web.Response(body=b"saw\n", headers={"X-Saw": saw})


async def main():
    # What comes over the wire is compared, not what Content-Encoding makes of it.
    runner = web.ServerRunner(web.Server(tell, auto_decompress=False))
    await runner.setup()
    await web.TCPSite(runner, os.environ["HOST"], int(os.environ["PORT"])).start()
    await asyncio.Event().wait()


asyncio.run(main())
