// Bun's own server, which is uWebSockets inside, as its documentation shows it. `PORT MODE`.
const [port, mode] = process.argv.slice(2);
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("no", { status: 426 })),
  websocket: {
    maxPayloadLength: 257 * 1024 * 1024,
    backpressureLimit: 1024 * 1024 * 1024,
    perMessageDeflate: mode === "deflate",
    publishToSelf: true,
    open(socket) {
      if (mode === "broadcast") socket.subscribe("all");
    },
    message(socket, message) {
      if (mode === "broadcast") server.publish("all", message);
      else socket.send(message, mode === "deflate");
    },
  },
});
