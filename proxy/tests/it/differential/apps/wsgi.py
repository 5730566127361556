"""A WSGI app for gunicorn that says what it saw: `X-Saw: METHOD TARGET LENGTH CRC32`."""

import zlib


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    method, target = environ["REQUEST_METHOD"], environ["RAW_URI"]
    saw = f"{method} {target} {len(body)} {zlib.crc32(body):08x}"
    start_response("200 OK", [("X-Saw", saw), ("Content-Length", "4")])
    # That an answer to HEAD has no content is the app's business here (PEP 3333).
    return [] if method == "HEAD" else [b"saw\n"]
