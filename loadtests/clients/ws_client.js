// WebSockets with `ws`: numbered messages, each sent until it is acknowledged, until the file STOP is there. Says its
// counts as JSON. SITE is the host, PORT the port, CA the authority.
'use strict';
const fs = require('node:fs');
const WebSocket = require('ws');

const { SITE, PORT, CA, STOP } = process.env;
const ca = fs.readFileSync(CA);
const counts = { ok: 0, failed: 0, reconnected: 0, resent: 0, acked: {}, why: [] };
const stop = () => fs.existsSync(STOP);
const pause = (ms) => new Promise((go) => setTimeout(go, ms));

function failed(why) {
  counts.failed++;
  if (counts.why.length < 5) counts.why.push(String(why));
}

/// Sends the message `number` and those behind it until the connection ends; returns the first unacknowledged one.
function session(client, number) {
  return new Promise((ended) => {
    const url = `wss://127.0.0.1:${PORT}/ws?client=${client}`;
    const socket = new WebSocket(url, { ca, servername: SITE, headers: { Host: SITE }, handshakeTimeout: 60_000 });
    let sent = false;
    let release;
    const send = () => { sent = true; socket.send(String(number)); };
    socket.on('open', send);
    socket.on('message', async (data) => {
      const [back, from] = String(data).split(' ');
      if (back !== String(number) || from !== (release ??= from)) failed(`${client} ${number}: ${data}`);
      counts.ok++;
      counts.acked[client] = number++;
      sent = false;
      if (stop()) return socket.close(1000);
      await pause(10);
      if (socket.readyState === WebSocket.OPEN) send();
    });
    let error = '';
    socket.on('error', (why) => { error = ` (${why})`; });
    socket.on('close', (code) => {
      if (code === 1001) counts.reconnected++;
      else if (!(code === 1000 && stop())) failed(`${client} ${number}: closed with ${code}${error}`);
      if (sent) counts.resent++;
      ended(number);
    });
  });
}

async function client(name) {
  for (let number = 1; !stop();) {
    number = await session(name, number);
    await pause(20);
  }
}

Promise.all(['ws-1', 'ws-2', 'ws-3', 'ws-4', 'ws-5'].map(client)).then(() => console.log(JSON.stringify(counts)));
