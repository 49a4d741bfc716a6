// uWebSockets in C++, as its examples EchoServer and Broadcast show it. `PORT MODE`.
#include "App.h"

#include <climits>
#include <cstdlib>
#include <string_view>

struct Data {};
using Socket = uWS::WebSocket<false, true, Data>;

int main(int, char **arguments) {
    int port = std::atoi(arguments[1]);
    std::string_view mode = arguments[2];
    bool broadcast = mode == "broadcast", compress = mode == "deflate";
    uWS::App app;
    uWS::App::WebSocketBehavior<Data> behaviour;
    behaviour.compression =
        compress ? uWS::CompressOptions(uWS::DEDICATED_COMPRESSOR_4KB | uWS::DEDICATED_DECOMPRESSOR)
                 : uWS::DISABLED;
    behaviour.maxPayloadLength = 257 << 20;
    behaviour.maxBackpressure = UINT_MAX;
    behaviour.open = [broadcast](Socket *socket) {
        if (broadcast) socket->subscribe("all");
    };
    behaviour.message = [&app, broadcast, compress](Socket *socket, std::string_view message, uWS::OpCode code) {
        if (broadcast) app.publish("all", message, code, false);
        else socket->send(message, code, compress);
    };
    app.ws<Data>("/*", std::move(behaviour))
        .listen("127.0.0.1", port, [](auto *) {})
        .run();
}
