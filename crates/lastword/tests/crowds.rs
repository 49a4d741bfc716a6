//! Many at once: whoever comes to the door finds room there.

use std::net::TcpStream;
use std::time::Duration;

use lastword::Server;

#[tokio::test]
async fn a_burst_of_connections_waits_at_the_door_and_is_not_turned_away() {
    let bound = Server::new().bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr().unwrap();
    // Nobody accepts yet: this thread is the server's, too. Whom the kernel has no room for is not
    // told so, and tries again a second later.
    let patience = Duration::from_millis(900);
    let waiting: Vec<_> =
        (0..500).map(|_| TcpStream::connect_timeout(&address, patience)).collect();
    let turned_away = waiting.iter().filter(|connected| connected.is_err()).count();
    assert_eq!(turned_away, 0);
}
