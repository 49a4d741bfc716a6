// npm `ws` as an echo server: prints its port, then how the first connection closed, and ends.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: { threshold: 0 } });
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
server.on('connection', (ws) => {
  ws.on('message', (data, isBinary) => {
    if (data.toString() === 'close me') ws.close(4002, 'as told');
    else ws.send(data, { binary: isBinary });
  });
  ws.on('close', (code, reason) => {
    console.log(JSON.stringify({ extensions: ws.extensions, code, reason: reason.toString() }));
    server.close();
  });
});
