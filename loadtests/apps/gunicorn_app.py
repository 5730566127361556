"""A WSGI app that keeps the ledger: what `loadtests/generator/src/ledger/line.rs` says, from a real app server.

RELEASE and LEDGER come from the environment.
"""

import itertools
import os
import time
import zlib
from urllib.parse import parse_qs

RELEASE = os.environ["RELEASE"]
LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
PIECES = 20
numbers = itertools.count(1)


def write(*words):
    os.write(LEDGER, (" ".join(map(str, words)) + "\n").encode())


def micros():
    return time.monotonic_ns() // 1000


class Answer:
    """A body that writes down how it ended: a WSGI server calls close() in any case."""

    def __init__(self, number, pieces, pause):
        self.number, self.pieces, self.pause, self.whole = number, pieces, pause, False

    def __iter__(self):
        for piece in self.pieces:
            yield piece
            time.sleep(self.pause)
        self.whole = True

    def close(self):
        word = "completed" if self.whole else "broken"
        write(word, os.getpid(), self.number, micros())


def app(environ, start_response):
    if environ["PATH_INFO"] == "/up":
        start_response("200 OK", [("Content-Length", "6")])
        return [b"ready\n"]
    number = next(numbers)
    id = environ.get("HTTP_X_REQUEST_ID", "-")
    held = environ.get("HTTP_X_HELD_MS", "-")
    write("arrived", os.getpid(), number, id, environ["REQUEST_METHOD"], RELEASE, micros(), held)
    received = environ["wsgi.input"].read()
    query = parse_qs(environ.get("QUERY_STRING", ""))
    size = int(query.get("size", ["128"])[0])
    pause = int(query.get("ms", ["0"])[0]) / 1000
    if environ["REQUEST_METHOD"] == "POST":
        body = b"%d %08x\n" % (len(received), zlib.crc32(received))
    else:
        body = (id.encode() * (size // len(id) + 1))[:size]
    fields = [
        ("X-App-Release", RELEASE),
        ("X-Request-Id", id),
        ("X-Body-Crc32", "%08x" % zlib.crc32(body)),
    ]
    if environ["PATH_INFO"] == "/stream":
        piece = max(1, -(-len(body) // PIECES))
        pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
        start_response("200 OK", fields)
        return Answer(number, pieces, pause / PIECES)
    if environ["PATH_INFO"] == "/slow":
        time.sleep(pause)
    start_response("200 OK", [*fields, ("Content-Length", str(len(body)))])
    return Answer(number, [body], 0)
