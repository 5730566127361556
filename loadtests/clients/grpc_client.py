"""gRPC with `grpcio`: unary calls and streams both ways, until the file STOP is there. Says its counts as JSON.

A stream sends ten messages over about a second, and all of them have to be answered, by one release.
SITE is the host, PORT the port, CA the authority; CALLS is unary or stream.
"""

import json
import os
import threading
import time

import grpc

SITE, PORT, STOP = os.environ["SITE"], os.environ["PORT"], os.environ["STOP"]
COUNT, PAUSE, PATIENCE = 10, 0.1, 60
counts = {"ok": 0, "failed": 0, "why": []}
lock = threading.Lock()


def stop():
    return os.path.exists(STOP)


def count(name, why):
    with lock:
        counts["failed" if why else "ok"] += 1
        if why and len(counts["why"]) < 5:
            counts["why"].append(f"{name}: {why}")


def channel():
    with open(os.environ["CA"], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    options = [
        ("grpc.ssl_target_name_override", SITE),
        ("grpc.default_authority", SITE),
        # What is lost is to be seen.
        ("grpc.enable_retries", 0),
        # Each its own connection.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.secure_channel(f"127.0.0.1:{PORT}", credentials, options)


def unary(call, number):
    message = b"%d " % number + b"x" * (number % 3000)
    answer, ended = call.with_call(message, timeout=PATIENCE)
    trailers = dict(ended.trailing_metadata())
    if answer.split(b" ", 1)[1] != message:
        return f"answered {answer[:80]}"
    if ended.code() != grpc.StatusCode.OK or trailers.get("x-octets") != str(len(message)):
        return f"ended with {ended.code()} and {trailers}"
    return None


def slowly(number):
    for message in range(COUNT):
        yield b"%d-%d" % (number, message)
        time.sleep(PAUSE)


def stream(call, number):
    ended = call(slowly(number), timeout=PATIENCE)
    answers = [answer.split(b" ") for answer in ended]
    trailers = dict(ended.trailing_metadata())
    if [message for _, message in answers] != [b"%d-%d" % (number, it) for it in range(COUNT)]:
        return f"answered {answers}"
    if len({release for release, _ in answers}) != 1:
        return f"moved to another release: {answers}"
    if ended.code() != grpc.StatusCode.OK or trailers.get("x-messages") != str(COUNT):
        return f"ended with {ended.code()} and {trailers}"
    return None


def loop(name, do, call, pause):
    number = 0
    while not stop():
        number += 1
        try:
            count(f"{name} {number}", do(call, number))
        except grpc.RpcError as error:
            count(f"{name} {number}", f"{error.code()} {error.details()}")
        time.sleep(pause)


def main():
    channels = [channel() for _ in range(2)]
    if os.environ["CALLS"] == "unary":
        calls = [(unary, it.unary_unary("/load.Echo/Unary"), 0.02) for it in channels]
    else:
        calls = [(stream, it.stream_stream("/load.Echo/Stream"), 0.05) for it in channels]
    threads = [
        threading.Thread(target=loop, args=(f"{do.__name__} {it}", do, call, pause))
        for it, (do, call, pause) in enumerate(calls * 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(counts))


main()
