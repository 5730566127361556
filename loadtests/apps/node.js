// A Node server that keeps the ledger: what `loadtests/generator/src/ledger/line.rs` says, from a real app server.
// RELEASE, LEDGER and PORT come from the environment.
'use strict';
const fs = require('node:fs');
const http = require('node:http');

const { RELEASE, LEDGER, PORT } = process.env;
const PIECES = 20;
const ledger = fs.openSync(LEDGER, 'a');
let sequence = 0;

const write = (...words) => fs.writeSync(ledger, words.join(' ') + '\n');
const micros = () => process.hrtime.bigint() / 1000n;

const table = Uint32Array.from({ length: 256 }, (_, octet) => {
  for (let bit = 0; bit < 8; bit++) octet = octet & 1 ? (octet >>> 1) ^ 0xedb88320 : octet >>> 1;
  return octet;
});
function crc32(octets) {
  let crc = -1;
  for (const octet of octets) crc = table[(crc ^ octet) & 255] ^ (crc >>> 8);
  return ((crc ^ -1) >>> 0).toString(16).padStart(8, '0');
}

function answer(request, response, received) {
  const { pathname, searchParams } = new URL(request.url, 'http://app');
  const id = request.headers['x-request-id'] ?? '-';
  const size = Number(searchParams.get('size') ?? 128);
  const pause = Number(searchParams.get('ms') ?? 0);
  const body = request.method === 'POST'
    ? Buffer.from(`${received.length} ${crc32(received)}\n`)
    : Buffer.alloc(size, id);
  response.setHeader('X-App-Release', RELEASE);
  response.setHeader('X-Request-Id', id);
  response.setHeader('X-Body-Crc32', crc32(body));
  if (pathname === '/stream') return spread(response, body, pause / PIECES);
  response.setHeader('Content-Length', body.length);
  if (pathname === '/slow') return setTimeout(() => response.end(body), pause);
  response.end(body);
}

function spread(response, body, pause) {
  const piece = Math.max(1, Math.ceil(body.length / PIECES));
  const next = (from) => {
    if (from >= body.length) return response.end();
    response.write(body.subarray(from, from + piece));
    setTimeout(next, pause, from + piece);
  };
  next(0);
}

const server = http.createServer((request, response) => {
  if (request.url === '/up') return response.end('ready\n');
  const number = ++sequence;
  const { 'x-request-id': id = '-', 'x-held-ms': held = '-' } = request.headers;
  write('arrived', process.pid, number, id, request.method, RELEASE, micros(), held);
  response.on('close', () =>
    write(response.writableFinished ? 'completed' : 'broken', process.pid, number, micros()));
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => answer(request, response, Buffer.concat(pieces)));
  request.on('error', () => response.destroy());
});
server.listen({ host: '127.0.0.1', port: Number(PORT), backlog: 4096 });
process.on('SIGTERM', () => server.close(() => process.exit(0)));
