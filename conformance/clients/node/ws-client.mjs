// npm `ws` as a client of the URL given: text, binary, 1 MiB, a ping, a close; prints what it saw.
import WebSocket from 'ws';

const ws = new WebSocket(process.argv[2]);
const seen = { extensions: null, messages: [], pong: false };
const large = 'x'.repeat(1 << 20);
ws.on('open', () => {
  seen.extensions = ws.extensions;
  ws.ping('are you there');
  ws.send('grüezi');
  ws.send(Buffer.from([0, 255, 1]));
  ws.send('');
  ws.send('');
  ws.send(large);
});
ws.on('pong', () => { seen.pong = true; });
ws.on('message', (data, isBinary) => {
  seen.messages.push(isBinary ? [...data] : data.length === large.length ? data.toString() === large : data.toString());
  if (seen.messages.length === 5) ws.close(4001, 'from ws');
});
ws.on('close', (code, reason) => {
  console.log(JSON.stringify({ ...seen, code, reason: reason.toString() }));
});
