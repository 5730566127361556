"""A gRPC server with `grpcio`, without generated code: messages are octets.

`load.Echo/Unary` sends its message back behind the release, `load.Echo/Stream` does so with each of them, and says in a
trailer how many there were. RELEASE and PORT come from the environment.
"""

import os
import signal
import threading
import time
from concurrent import futures

import grpc

RELEASE = os.environ["RELEASE"].encode()
SERVING = b"\x08\x01"


def health(request, context):
    return SERVING


def unary(request, context):
    # Some of them are at work when a swap comes.
    time.sleep(0.02)
    context.set_trailing_metadata([("x-octets", str(len(request)))])
    return RELEASE + b" " + request


def stream(requests, context):
    count = 0
    for request in requests:
        count += 1
        yield RELEASE + b" " + request
    context.set_trailing_metadata([("x-messages", str(count))])


def handler(service, methods):
    return grpc.method_handlers_generic_handler(service, methods)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
server.add_generic_rpc_handlers(
    [
        handler("grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(health)}),
        handler(
            "load.Echo",
            {
                "Unary": grpc.unary_unary_rpc_method_handler(unary),
                "Stream": grpc.stream_stream_rpc_method_handler(stream),
            },
        ),
    ]
)
server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
server.start()
stop.wait()
server.stop(grace=1).wait()
