// ws on Node, as its documentation shows it. `PORT MODE`.
const { WebSocketServer } = require("ws");

const [port, mode] = process.argv.slice(2);
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(port),
  backlog: 1024,
  maxPayload: 257 << 20,
  perMessageDeflate: mode === "deflate" ? { threshold: 128 } : false,
});

server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => {
    if (mode === "broadcast") {
      for (const client of server.clients) client.send(data, { binary: isBinary });
    } else {
      socket.send(data, { binary: isBinary });
    }
  });
});
