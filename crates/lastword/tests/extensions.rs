//! Extensions of the application's own, from the outside: both sides over sockets, with compression.

#[path = "../examples/checksum/extension.rs"]
mod extension;
mod support;

use std::borrow::Cow;

use bytes::Bytes;
use extension::{Checksum, Covers};
use lastword::proto::{Encoded, Extension, Parameters, ReservedBits, Transform, Undecodable};
use lastword::{
    Cause, Client, CloseCode, Config, ConnectError, Farewell, Kind, Message, Role, SendError,
    Server, Topic, Violation, WebSocket, broadcast,
};
use support::{Running, come_back, echo};

const NUMBERED: Checksum = Checksum { covers: Covers::NumberAndPayload };

fn config(extension: impl Extension) -> Config {
    let mut config = Config::default();
    config.extensions.add(extension).unwrap();
    config
}

async fn client(server: &Running, extension: impl Extension) -> WebSocket {
    Client::new(server.url()).config(config(extension)).connect().await.unwrap()
}

fn agreed(ws: &WebSocket) -> String {
    let all = ws.opening().extensions().into_iter();
    all.map(|(name, parameters)| format!("{name}{parameters}")).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn messages_of_all_sizes_come_back_checked_and_compressed() {
    for (covers, named) in
        [(Covers::Payload, "x-checksum"), (Covers::NumberAndPayload, "x-checksum; numbered")]
    {
        let mut server = Running::with(config(NUMBERED)).await;
        let mut ws = client(&server, Checksum { covers }).await;
        let both = format!("{named}, permessage-deflate; server_max_window_bits=12");
        assert_eq!(agreed(&ws), both);
        for size in [0, 1, 121, 122, 2048, 65_532, 65_536, 1 << 20] {
            come_back(&mut ws, size).await;
        }
        ws.send_confirmed("that it came is known as ever").await.unwrap();
        let ending = ws.close(CloseCode::NORMAL, "done").await;
        assert!(ending.is_clean(), "{ending}");
        let theirs = server.ending().await;
        assert_eq!(theirs.ledger.delivered.messages, 17);
        assert_eq!(theirs.ledger.delivered.bytes, ending.ledger.confirmed.bytes);
    }
}

#[tokio::test]
async fn many_messages_at_once_keep_their_numbers() {
    let server = Running::with(config(NUMBERED)).await;
    let (sender, mut receiver) = client(&server, NUMBERED).await.split();
    let sending = tokio::spawn(async move {
        for number in 0..2000 {
            sender.send(format!("{number}")).await.unwrap();
        }
        sender
    });
    for number in 0..2000 {
        let message = receiver.recv().await.unwrap().unwrap();
        assert_eq!(message.as_text(), Some(&*format!("{number}")));
    }
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn where_one_side_has_no_extension_both_do_without() {
    for (theirs, ours) in [
        (config(NUMBERED), Config::default()),
        (Config::default(), config(NUMBERED)),
        // Of another name.
        (config(NUMBERED), config(Forger { name: "x-other" })),
    ] {
        let server = Running::with(theirs).await;
        let mut ws = Client::new(server.url()).config(ours).connect().await.unwrap();
        assert!(agreed(&ws).starts_with("permessage-deflate"));
        ws.send("plain").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some("plain".into()));
    }
}

#[tokio::test]
async fn what_cannot_be_decoded_ends_the_connection_and_both_sides_know_why() {
    let mut server = Running::with(config(NUMBERED)).await;
    let mut ws = client(&server, Forger { name: "x-checksum" }).await;
    ws.send("forged").await.unwrap();
    let ended = ws.recv().await;
    let told = "message that extension x-checksum cannot decode: wrong checksum";
    let Ok(None) = ended else { panic!("{ended:?}") };
    let ours = ws.ended().await;
    assert_eq!((ours.code(), ours.reason()), (1007, told));
    let theirs = server.ending().await;
    let Cause::Violation(Violation::Extension(failed)) = &theirs.cause else { panic!("{theirs}") };
    assert_eq!(&*failed.extension, "x-checksum");
    assert!(
        theirs.to_string().starts_with(&format!("peer broke the protocol: {told}")),
        "{theirs}"
    );
    let Farewell::Said(said) = &theirs.sent else { panic!("{theirs}") };
    assert_eq!(said.reason(), told);
    assert_eq!(theirs.ledger.delivered.messages, 0);
}

#[tokio::test]
async fn an_answer_that_a_client_cannot_live_with_fails_the_opening() {
    // The server's answer leaves the number out.
    let server = Running::with(config(Forger { name: "x-checksum" })).await;
    let failed = Client::new(server.url()).config(config(NUMBERED)).connect().await;
    let Err(error @ ConnectError::Handshake(_)) = failed else { panic!("{failed:?}") };
    assert_eq!(
        error.to_string(),
        r#"answer about extension "x-checksum": expected "; numbered", got """#
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn messages_by_parts_are_put_together_both_ways() {
    let mut config = config(NUMBERED);
    config.max_message_size = 100;
    let server = Server::new().config(config.clone());
    let server = Running::start(server, async |ws| {
        let (sender, mut receiver) = ws.split();
        while let Some(mut reader) = receiver.recv_parts().await? {
            let mut parts = Vec::new();
            while let Some(part) = reader.next().await? {
                parts.push(part);
            }
            let [whole] = &parts[..] else { panic!("one part, and not {}", parts.len()) };
            sender.send(whole.clone()).await?;
        }
        Ok(())
    })
    .await;
    let mut ws = Client::new(server.url()).config(config).connect().await.unwrap();
    let mut writer = ws.send_parts(Kind::Text);
    for part in ["one ", "story ", "in "] {
        writer.write(part).await.unwrap();
    }
    let refused = writer.write("x".repeat(90)).await.unwrap_err();
    assert!(matches!(refused, SendError::PartsTooBig { limit: 100, .. }), "{refused}");
    assert_eq!(refused.into_message().len(), 90);
    writer.finish_with("parts").await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some("one story in parts".into()));
    let ending = ws.close(CloseCode::NORMAL, "").await;
    assert!(ending.is_clean(), "{ending}");
    assert_eq!(ending.ledger.unsent.messages, 0);
}

#[tokio::test]
async fn a_message_for_many_reaches_those_with_an_extension_and_those_without() {
    let topic = Topic::new();
    let (subscribing, server) = (topic.clone(), Server::new().config(config(NUMBERED)));
    let server = Running::start(server, move |mut ws| {
        let topic = subscribing.clone();
        async move {
            let _subscription = topic.subscribe(&ws.sender());
            while let Some(message) = ws.recv().await? {
                broadcast([&ws.sender()], message);
            }
            Ok(())
        }
    })
    .await;
    let mut with = client(&server, NUMBERED).await;
    let mut without = lastword::connect(server.url()).await.unwrap();
    for ws in [&mut with, &mut without] {
        // It is subscribed when it answers.
        ws.send("first").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some("first".into()));
    }
    let news = "news, ".repeat(500);
    let reach = topic.publish(news.clone()).await;
    assert_eq!(reach.accepted, 2);
    for ws in [&mut with, &mut without] {
        assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some(&*news));
        ws.send("last").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some("last".into()));
    }
}

#[tokio::test]
async fn what_was_not_sent_comes_back_as_it_was() {
    let (near, far) = tokio::io::duplex(4096);
    let server = tokio::spawn(async move {
        let server = Server::new().config(config(NUMBERED));
        server.accept(far).await
    });
    let mut ours = config(NUMBERED);
    ours.deflate = None;
    let ws = Client::new("ws://in.memory/").config(ours).connect_over(near).await.unwrap();
    let _kept_and_not_read = server.await.unwrap().unwrap();
    let mut accepted = 0;
    while ws.try_send(Message::binary(vec![accepted; 4000])).is_ok() {
        accepted += 1;
    }
    let sender = ws.sender();
    let ending = ws.abort();
    let unsent = sender.take_unsent();
    assert!(!unsent.is_empty());
    assert_eq!(unsent.len() as u64, ending.ledger.unsent.messages);
    let first = accepted - u8::try_from(unsent.len()).unwrap();
    for (number, message) in (first..).zip(unsent) {
        assert_eq!(message, Message::binary(vec![number; 4000]));
    }
}

#[tokio::test]
async fn a_handler_in_which_an_extension_panics_closes_with_1011() {
    let mut server =
        Running::start(Server::new().config(config(Forger { name: "x-checksum" })), echo).await;
    let mut ws = client(&server, Checksum { covers: Covers::Payload }).await;
    ws.send("panic").await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), None);
    assert_eq!(ws.ended().await.code(), 1011);
    assert_eq!(server.ending().await.cause, Cause::Dropped);
}

/// Under the name of another extension: its checksums are wrong, and it accepts and answers anything.
#[derive(Debug)]
struct Forger {
    name: &'static str,
}

impl Extension for Forger {
    fn name(&self) -> &str {
        self.name
    }

    fn reserved_bits(&self) -> ReservedBits {
        ReservedBits::RSV2
    }

    fn answer(&self, _: &Parameters) -> Option<Parameters> {
        Some(Parameters::default())
    }

    fn check(&self, _: &Parameters) -> Result<(), Cow<'static, str>> {
        Ok(())
    }

    fn begin(&self, _: Role, _: &Parameters) -> Box<dyn Transform> {
        Box::new(Forged)
    }
}

struct Forged;

impl Transform for Forged {
    fn encode(&mut self, _: Kind, payload: Bytes) -> Encoded {
        assert_ne!(payload, "panic", "as it was told");
        let payload = [&payload[..], b"0000"].concat().into();
        Encoded { payload, reserved: ReservedBits::RSV2 }
    }

    fn decode(&mut self, _: Kind, coded: Encoded, _: usize) -> Result<Bytes, Undecodable> {
        Ok(coded.payload.slice(..coded.payload.len() - 4))
    }
}
