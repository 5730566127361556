// An HTTP and WebSocket server with `ws`: a page for browsers, items to GET and POST, and an echo of numbered messages.
// What is written to MESSAGES, `CLIENT NUMBER RELEASE`, is written before it is acknowledged.
// RELEASE, LEDGER and PORT come from the environment; files beside LEDGER are shared by all releases.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { WebSocketServer } = require('ws');

const { RELEASE, LEDGER, PORT } = process.env;
const shared = (name) => path.join(path.dirname(LEDGER), name);
const messages = fs.openSync(shared('messages'), 'a');
const note = (client, number) => fs.writeSync(messages, `${client} ${number} ${RELEASE}\n`);

function answer(request, response, received) {
  const { pathname, searchParams } = new URL(request.url, 'http://app');
  // So that a page, which sees no files, ends when the others do.
  if (fs.existsSync(shared('stop'))) response.setHeader('X-Stop', '1');
  if (pathname === '/up') return response.end('ready\n');
  if (pathname === '/page') {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    return response.end(fs.readFileSync(shared('page.html')));
  }
  if (pathname === '/report') {
    // It is there whole, or not at all.
    fs.writeFileSync(shared('report.part'), received);
    fs.renameSync(shared('report.part'), shared('report.json'));
    return response.end();
  }
  if (pathname !== '/item') return response.writeHead(404).end();
  const number = searchParams.get('number');
  if (request.method === 'POST') note(searchParams.get('client'), number);
  // Some of them are at work when a swap comes.
  setTimeout(() => response.end(`${request.method} ${number} ${received}`), 20);
}

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => answer(request, response, Buffer.concat(pieces)));
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket, request) => {
  const client = new URL(request.url, 'http://app').searchParams.get('client');
  socket.on('error', () => socket.terminate());
  socket.on('message', (message) => {
    note(client, message);
    socket.send(`${message} ${RELEASE}`);
  });
});
server.listen({ host: '127.0.0.1', port: Number(PORT), backlog: 4096 });
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  for (const socket of sockets.clients) socket.terminate();
});
