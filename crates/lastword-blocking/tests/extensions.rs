//! Extensions of the application's own are agreed on and used by threads, too: they come with `Config`.

mod support;

use std::borrow::Cow;
use std::io::{self, Read};

use bytes::Bytes;
use lastword_blocking::proto::{
    Encoded, Extension, Parameters, ReservedBits, Transform, Undecodable,
};
use lastword_blocking::{CloseCode, Config, Kind, Message, Role, Topic};
use support::{Over, frame, pair, raw_pair_with};

/// Turns each binary message round, and says so with RSV2.
#[derive(Debug)]
struct Backwards;

impl Extension for Backwards {
    fn name(&self) -> &str {
        "x-backwards"
    }

    fn reserved_bits(&self) -> ReservedBits {
        ReservedBits::RSV2
    }

    fn offer(&self) -> Parameters {
        Parameters::default()
    }

    fn answer(&self, offer: &Parameters) -> Option<Parameters> {
        Some(offer.clone())
    }

    fn check(&self, _: &Parameters) -> Result<(), Cow<'static, str>> {
        Ok(())
    }

    fn begin(&self, _: Role, _: &Parameters) -> Box<dyn Transform> {
        Box::new(Self)
    }
}

impl Transform for Backwards {
    fn encode(&mut self, _: Kind, payload: Bytes) -> Encoded {
        Encoded { payload: turned_round(&payload), reserved: ReservedBits::RSV2 }
    }

    fn decode(&mut self, _: Kind, coded: Encoded, _: usize) -> Result<Bytes, Undecodable> {
        if coded.reserved.is_none() {
            return Err(Undecodable::broken(CloseCode::INVALID_DATA, "not turned round"));
        }
        Ok(turned_round(&coded.payload))
    }
}

fn turned_round(payload: &[u8]) -> Bytes {
    payload.iter().rev().copied().collect()
}

fn config() -> Config {
    let mut config = Config::default();
    config.extensions.add(Backwards).unwrap();
    config
}

#[test]
fn messages_come_back_whole_by_parts_and_from_topics() {
    for over in Over::ALL {
        let (mut client, server) = pair(over, config());
        let both = [client.opening(), server.opening()];
        assert!(both.iter().all(|opening| opening.extensions()[0].0 == "x-backwards"));
        for size in [0, 1, 2000, 1 << 20] {
            let message: Vec<u8> = (0..size).map(|number| number as u8).collect();
            server.send(message.clone()).unwrap();
            assert_eq!(client.recv().unwrap(), Some(Message::binary(message.clone())));
            let mut writer = server.send_parts(Kind::Binary);
            io::copy(&mut &message[..], &mut writer).unwrap();
            writer.finish().unwrap();
            let mut copied = Vec::new();
            client.recv_parts().unwrap().unwrap().read_to_end(&mut copied).unwrap();
            assert!(copied == message, "{size}");
        }
        let topic = Topic::new();
        let _subscription = topic.subscribe(&server.sender());
        assert_eq!(topic.publish("to all").accepted, 1);
        assert_eq!(client.recv().unwrap(), Some("to all".into()));
        client.send_confirmed("that it came is known as ever").unwrap();
    }
}

#[test]
fn they_are_used_where_they_were_agreed_on_and_nowhere_else() {
    let ours = |server: lastword_blocking::Server| {
        let mut config = config();
        config.deflate = None;
        server.config(config)
    };
    let (ws, mut raw) = raw_pair_with(ours, &["Sec-WebSocket-Extensions: x-backwards"]);
    ws.send("abc").unwrap();
    assert_eq!(frame(&mut raw), (0x80 | 0x20 | 1, b"cba".to_vec()));
    let (ws, mut raw) = raw_pair_with(ours, &[]);
    ws.send("abc").unwrap();
    assert_eq!(frame(&mut raw), (0x81, b"abc".to_vec()));
}
