//! What is sent, and what RFC 9113 asks for.

use super::wire::*;

/// What must follow.
#[derive(Clone, Copy, Debug)]
pub(super) enum Want {
    /// GOAWAY with one of these codes, or just the end.
    Connection(&'static [u32]),
    /// RST_STREAM for stream 1 with one of these, or the connection's end with one.
    Stream(&'static [u32]),
    /// The request on stream 1 is malformed: RST_STREAM, 400, or the end (8.1.1).
    Malformed,
    /// The request on stream 1 is answered by the app.
    Served,
}

pub(super) const NO_ERROR: u32 = 0;
pub(super) const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
pub(super) const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const COMPRESSION: u32 = 9;

pub(super) use Want::{Connection, Malformed, Served, Stream};

/// Section, what it is about, what is sent behind the preface, what must follow.
pub(super) type Case = (&'static str, &'static str, Vec<u8>, Want);

pub(super) fn get() -> Vec<u8> {
    headers(1, END_STREAM | END_HEADERS, &request(&[]))
}

fn post() -> Vec<u8> {
    headers(1, END_HEADERS, &fields(POST))
}

pub(super) fn cases_of_frames() -> Vec<Case> {
    let settings = |payload: &[u8]| frame(SETTINGS, 0, 0, payload);
    let both = |one: Vec<u8>, other: Vec<u8>| [one, other].concat();
    let large = vec![b'x'; 16_385];
    vec![
        ("4.1", "a request is answered", get(), Served),
        (
            "4.2",
            "a frame is too long",
            both(post(), frame(DATA, 0, 1, &large)),
            Stream(&[FRAME_SIZE]),
        ),
        (
            "4.2",
            "a field block is too long",
            headers(1, 5, &large),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "4.3",
            "index 0 in a field block",
            headers(1, 5, &[0x80]),
            Connection(&[COMPRESSION]),
        ),
        (
            "4.3",
            "an index of no entry",
            headers(1, 5, &[0xff, 0xff, 0x01]),
            Connection(&[COMPRESSION]),
        ),
        (
            "5.1",
            "DATA for an idle stream",
            frame(DATA, 1, 1, b"x"),
            Connection(&[PROTOCOL]),
        ),
        (
            "5.1",
            "RST_STREAM for an idle stream",
            frame(RST_STREAM, 0, 1, &[0; 4]),
            Connection(&[PROTOCOL]),
        ),
        (
            "5.1",
            "WINDOW_UPDATE for an idle stream",
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
            Connection(&[PROTOCOL]),
        ),
        (
            "5.1",
            "DATA behind the end",
            both(get(), frame(DATA, 1, 1, b"x")),
            Stream(&[STREAM_CLOSED]),
        ),
        (
            "5.1",
            "a second request behind the end",
            both(get(), get()),
            Stream(&[STREAM_CLOSED, PROTOCOL]),
        ),
        (
            "5.1.1",
            "a stream with an even number",
            headers(2, 5, &request(&[])),
            Connection(&[PROTOCOL]),
        ),
        (
            "5.1.1",
            "a lower number",
            both(headers(3, 5, &request(&[])), get()),
            Connection(&[PROTOCOL, STREAM_CLOSED]),
        ),
        (
            "5.5",
            "a frame of no known type",
            both(frame(0x42, 0, 0, b"what"), get()),
            Served,
        ),
        (
            "5.5",
            "the same within a field block",
            both(headers(1, 1, &request(&[])), frame(0x42, 0, 1, b"x")),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.1",
            "DATA on stream 0",
            frame(DATA, 1, 0, b"x"),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.1",
            "padding longer than the frame",
            both(post(), frame(DATA, 8, 1, &[5, b'x'])),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.2",
            "HEADERS on stream 0",
            headers(0, 5, &request(&[])),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.2",
            "DATA within a field block",
            both(headers(1, 0, &fields(POST)), frame(DATA, 1, 1, b"x")),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.3",
            "PRIORITY on stream 0",
            frame(PRIORITY, 0, 0, &[0; 5]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.3",
            "PRIORITY with another length",
            both(post(), frame(PRIORITY, 0, 1, &[0; 4])),
            Stream(&[FRAME_SIZE]),
        ),
        (
            "6.4",
            "RST_STREAM on stream 0",
            frame(RST_STREAM, 0, 0, &[0; 4]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.4",
            "RST_STREAM with another length",
            both(post(), frame(RST_STREAM, 0, 1, &[0; 3])),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "6.5",
            "SETTINGS of a stream",
            frame(SETTINGS, 0, 1, &[]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.5",
            "an ACK with settings",
            frame(SETTINGS, 1, 0, &[0, 3, 0, 0, 0, 1]),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "6.5",
            "half a setting",
            settings(&[0, 3, 0]),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "6.5.2",
            "a push setting other than 0 and 1",
            settings(&[0, 2, 0, 0, 0, 2]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.5.2",
            "a window that is too large",
            settings(&[0, 4, 0x80, 0, 0, 0]),
            Connection(&[FLOW_CONTROL]),
        ),
        (
            "6.5.2",
            "frames that are too short",
            settings(&[0, 5, 0, 0, 0x3f, 0xff]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.5.2",
            "a setting of no known kind",
            both(settings(&[0, 0x42, 0, 0, 0, 1]), get()),
            Served,
        ),
        (
            "6.7",
            "PING of a stream",
            frame(PING, 0, 1, &[0; 8]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.7",
            "PING with another length",
            frame(PING, 0, 0, &[0; 6]),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "6.8",
            "GOAWAY of a stream",
            frame(GOAWAY, 0, 1, &[0; 8]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.9",
            "a window that grows by nothing",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.9",
            "the same of a stream",
            both(post(), frame(WINDOW_UPDATE, 0, 1, &[0; 4])),
            Stream(&[PROTOCOL]),
        ),
        (
            "6.9",
            "WINDOW_UPDATE with another length",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            Connection(&[FRAME_SIZE]),
        ),
        (
            "6.9.1",
            "a window beyond its bound",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
            Connection(&[FLOW_CONTROL]),
        ),
        (
            "6.10",
            "CONTINUATION of nothing",
            both(post(), frame(CONTINUATION, 4, 1, &[])),
            Connection(&[PROTOCOL]),
        ),
        (
            "6.10",
            "CONTINUATION on stream 0",
            frame(CONTINUATION, 4, 0, &[]),
            Connection(&[PROTOCOL]),
        ),
    ]
}

/// Field blocks that are not of a sound request.
pub(super) fn malformed() -> Vec<Case> {
    let with = |more: &[(&str, &str)]| headers(1, 5, &request(more));
    let only = |fields: &[(&str, &str)]| headers(1, 5, &literals(fields));
    let (method, scheme, path) = ((":method", "GET"), (":scheme", "http"), (":path", "/"));
    let body = |len: &str, data: &[u8]| {
        let head = [fields(POST), literals(&[("content-length", len)])].concat();
        [headers(1, 4, &head), frame(DATA, 1, 1, data)].concat()
    };
    vec![
        (
            "8.1.1",
            "a length that is too short",
            body("1", b"two"),
            Malformed,
        ),
        (
            "8.1.1",
            "a length that is too long",
            body("5", b"two"),
            Malformed,
        ),
        (
            "8.2.1",
            "an upper-case name",
            with(&[("X-Upper", "1")]),
            Malformed,
        ),
        (
            "8.2.1",
            "a value with a line end",
            with(&[("x-line", "a\r\nb: c")]),
            Malformed,
        ),
        (
            "8.2.2",
            "a field of a connection",
            with(&[("connection", "close")]),
            Malformed,
        ),
        (
            "8.2.2",
            "Transfer-Encoding",
            with(&[("transfer-encoding", "chunked")]),
            Malformed,
        ),
        (
            "8.2.2",
            "TE other than trailers",
            with(&[("te", "gzip")]),
            Malformed,
        ),
        (
            "8.3",
            "a pseudo-field of no known name",
            with(&[(":what", "x")]),
            Malformed,
        ),
        (
            "8.3",
            "a pseudo-field of answers",
            with(&[(":status", "200")]),
            Malformed,
        ),
        (
            "8.3",
            "a pseudo-field behind a field",
            only(&[method, ("x-a", "1"), scheme, path]),
            Malformed,
        ),
        (
            "8.3.1",
            "no method",
            only(&[scheme, path, (":authority", "x.test")]),
            Malformed,
        ),
        (
            "8.3.1",
            "no scheme",
            only(&[method, path, (":authority", "x.test")]),
            Malformed,
        ),
        (
            "8.3.1",
            "no path",
            only(&[method, scheme, (":authority", "x.test")]),
            Malformed,
        ),
        (
            "8.3.1",
            "an empty path",
            only(&[method, scheme, (":path", ""), (":authority", "x.test")]),
            Malformed,
        ),
        (
            "8.3.1",
            "two paths",
            only(&[method, scheme, path, path, (":authority", "x.test")]),
            Malformed,
        ),
        (
            "8.3.1",
            "nobody is asked",
            only(&[method, scheme, path]),
            Malformed,
        ),
        (
            "8.3.1",
            "two are asked",
            with(&[("host", "y.test")]),
            Malformed,
        ),
    ]
}
