// A Node server that says what it saw: `X-Saw: METHOD TARGET LENGTH CRC32`. HOST and PORT come from the environment.
'use strict';
const http = require('node:http');

const table = Uint32Array.from({ length: 256 }, (_, octet) => {
  for (let bit = 0; bit < 8; bit++) octet = octet & 1 ? (octet >>> 1) ^ 0xedb88320 : octet >>> 1;
  return octet;
});
function crc32(octets) {
  let crc = -1;
  for (const octet of octets) crc = table[(crc ^ octet) & 255] ^ (crc >>> 8);
  return ((crc ^ -1) >>> 0).toString(16).padStart(8, '0');
}

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('error', () => response.destroy());
  request.on('end', () => {
    const body = Buffer.concat(pieces);
    response.setHeader('X-Saw', `${request.method} ${request.url} ${body.length} ${crc32(body)}`);
    response.setHeader('Content-Length', 4);
    response.end('saw\n');
  });
});
server.listen({ host: process.env.HOST, port: Number(process.env.PORT) });
