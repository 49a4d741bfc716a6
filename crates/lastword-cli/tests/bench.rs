//! `bench` as a person or a script would use it, against servers whose every answer is known.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lastword::{CloseCode, HandlerError, Server, WebSocket};
use serde_json::Value;

fn bench(url: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastword"));
    command.args(["bench", url]).args(args).stdin(Stdio::null());
    command.output().unwrap()
}

/// Runs it with `--json`: its exit code, and what it said.
#[track_caller]
fn result(url: &str, args: &[&str]) -> (i32, Value) {
    let output = bench(url, &[args, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let Ok(value) = serde_json::from_slice(&output.stdout) else { panic!("no JSON: {said}") };
    (output.status.code().unwrap(), value)
}

/// A server whose handler is this function, for as long as the test runs.
fn serve<F>(handler: impl Fn(WebSocket) -> F + Clone + Send + Sync + 'static) -> String
where
    F: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let (sender, address) = std::sync::mpsc::channel::<SocketAddr>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async move {
            let bound = Server::new().bind("127.0.0.1:0").await.unwrap();
            sender.send(bound.local_addr().unwrap()).unwrap();
            bound.serve(handler).await;
        });
    });
    format!("ws://{}", address.recv().unwrap())
}

async fn echo(mut ws: WebSocket) -> Result<(), HandlerError> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// A server that echoes, and counts what it does so.
fn serve_counted() -> (String, Arc<AtomicU64>) {
    let seen = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&seen);
    let url = serve(move |mut ws| {
        let seen = Arc::clone(&counted);
        async move {
            while let Some(message) = ws.recv().await? {
                seen.fetch_add(1, Ordering::Relaxed);
                ws.send(message).await?;
            }
            Ok(())
        }
    });
    (url, seen)
}

#[test]
fn so_many_messages_are_sent_as_were_asked_for_and_each_has_its_answer() {
    let (url, seen) = serve_counted();
    let (code, result) =
        result(&url, &["-n", "1003", "-c", "4", "--in-flight", "8", "--size", "100", "--text"]);
    assert_eq!(code, 0, "{result:#}");
    assert_eq!(seen.load(Ordering::Relaxed), 1003);
    for (name, count) in [
        ("sent", 1003),
        ("answered", 1003),
        ("messages", 1003),
        ("bytes", 100_300),
        ("unanswered", 0),
        ("differ", 0),
        ("unasked", 0),
    ] {
        assert_eq!(result[name], count, "{name} of {result:#}");
    }
    assert_eq!(result["connections"]["opened"], 4);
    assert_eq!(result["endings"].as_array().unwrap().len(), 1);
    let ending = &result["endings"][0];
    assert_eq!(
        (&ending["cause"], &ending["code"], &ending["count"], &ending["early"]),
        (&"closed".into(), &1000.into(), &4.into(), &0.into())
    );
    assert!(result["latency"]["min"].as_f64() > Some(0.0));
    assert!(result["messages_per_second"].as_f64() > Some(0.0));
}

#[test]
fn a_time_is_measured_behind_the_warm_up() {
    let url = serve(echo);
    let (code, result) = result(&url, &["-d", "200ms", "--warm-up", "50ms", "-c", "3"]);
    assert_eq!(code, 0, "{result:#}");
    assert_eq!(result["measured_seconds"], 0.2);
    assert!(result["messages"].as_u64() > Some(0));
    assert_eq!(result["sent"], result["answered"]);
    assert_eq!(result["because"], "done");
}

#[test]
fn an_open_loop_sends_what_is_due_and_no_more() {
    let url = serve(echo);
    for args in [&["-d", "0.3", "--warm-up", "0.1"][..], &["-n", "300", "--warm-up", "0.05"]] {
        let (code, result) = result(&url, &[args, &["-r", "1000", "-c", "7"]].concat());
        assert_eq!(code, 0, "{result:#}");
        assert_eq!(
            (&result["sent"], &result["answered"]),
            (&300.into(), &300.into()),
            "{result:#}"
        );
        assert!(result["measured_seconds"].as_f64() > Some(0.25), "{result:#}");
    }
}

/// Each answer's time counts from when its message was due, so that a server that stands still cannot
/// hide it: of a closed loop one message would have seen it.
#[test]
fn a_server_that_stands_still_is_seen_by_all_messages_that_were_due_meanwhile() {
    const STILL: Duration = Duration::from_millis(400);
    let url = serve(|mut ws| async move {
        let mut seen = 0;
        while let Some(message) = ws.recv().await? {
            seen += 1;
            if seen == 50 {
                tokio::time::sleep(STILL).await;
            }
            ws.send(message).await?;
        }
        Ok(())
    });
    let (code, result) = result(&url, &["-r", "500", "-c", "1", "-n", "400"]);
    assert_eq!(code, 0, "{result:#}");
    // Due meanwhile: 200 of 400, half of which waited for half of it or more.
    assert!(result["latency"]["max"].as_f64() >= Some(0.39), "{result:#}");
    assert!(result["latency"]["p90"].as_f64() >= Some(0.2), "{result:#}");
}

#[test]
fn an_answer_that_is_none_is_told_and_where_it_differs() {
    let url = serve(|mut ws| async move {
        while let Some(message) = ws.recv().await? {
            let mut bytes = message.into_payload().to_vec();
            bytes[7] ^= 1;
            ws.send(bytes).await?;
        }
        Ok(())
    });
    let (code, told) = result(&url, &["-n", "20", "-c", "2"]);
    assert_eq!(code, 5, "{told:#}");
    assert_eq!((&told["answered"], &told["differ"]), (&20.into(), &20.into()));
    assert_eq!(told["first_difference"], "of 128 bytes, byte 7 is the first that is another");
    let (code, told) = result(&url, &["-n", "20", "-c", "2", "--no-check"]);
    assert_eq!((code, &told["differ"]), (0, &0.into()), "{told:#}");
}

#[test]
fn a_greeting_is_no_answer() {
    let url = serve(|mut ws| async move {
        ws.send("welcome").await?;
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    });
    let (code, result) = result(&url, &["-n", "50", "-c", "3"]);
    assert_eq!((code, &result["differ"]), (0, &0.into()), "{result:#}");
}

#[test]
fn answers_that_do_not_come_are_told_and_waited_for_only_so_long() {
    let url = serve(|mut ws| async move {
        let mut seen = 0;
        while let Some(message) = ws.recv().await? {
            seen += 1;
            if seen <= 5 {
                ws.send(message).await?;
            }
        }
        Ok(())
    });
    let (code, result) =
        result(&url, &["-d", "0.2", "--warm-up", "0", "-c", "2", "--timeout", "0.1"]);
    assert_eq!(code, 6, "{result:#}");
    assert_eq!((&result["answered"], &result["unanswered"]), (&10.into(), &2.into()));
}

#[test]
fn a_server_that_does_not_answer_hears_all_that_is_sent() {
    let seen = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&seen);
    let url = serve(move |mut ws| {
        let seen = Arc::clone(&counted);
        async move {
            while let Some(message) = ws.recv().await? {
                seen.fetch_add(u64::from(message.as_text().is_some()), Ordering::Relaxed);
            }
            Ok(())
        }
    });
    for more in [&[][..], &["-r", "5000"]] {
        seen.store(0, Ordering::Relaxed);
        let (code, result) =
            result(&url, &[&["--no-echo", "--text", "-n", "1000", "-c", "3"], more].concat());
        assert_eq!(code, 0, "{result:#}");
        assert_eq!((&result["sent"], &result["messages"]), (&1000.into(), &1000.into()));
        assert!(result["messages_per_second"].as_f64() > Some(0.0), "{result:#}");
        assert_eq!(seen.load(Ordering::Relaxed), 1000);
    }
}

#[test]
fn a_feed_is_received() {
    let url = serve(|ws| async move {
        loop {
            ws.send("tick").await?;
        }
    });
    let (code, result) = result(&url, &["--receive-only", "-n", "500", "-c", "2"]);
    assert_eq!((&result["messages"], &result["bytes"]), (&500.into(), &2000.into()), "{result:#}");
    assert_eq!((code, &result["sent"]), (0, &0.into()));
}

#[test]
fn connections_that_end_are_counted_by_how_they_did() {
    let number = Arc::new(AtomicU64::new(0));
    let url = serve(move |mut ws| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        async move {
            for _ in 0..10 {
                let Some(message) = ws.recv().await? else { return Ok(()) };
                ws.send(message).await?;
            }
            match number {
                0 => drop(ws.abort()),
                1 => drop(ws.close(CloseCode::try_from(4001).unwrap(), "enough").await),
                _ => return echo(ws).await,
            }
            Ok(())
        }
    });
    let (code, told) = result(&url, &["-d", "0.5", "--warm-up", "0", "-c", "5"]);
    assert_eq!(code, 4, "{told:#}");
    let endings: Vec<_> = told["endings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ending| {
            let field = |name: &str| ending[name].to_string();
            [field("cause"), field("code"), field("count"), field("early")].join(" ")
        })
        .collect();
    assert_eq!(endings, ["\"closed\" 1000 3 0", "\"closed\" 4001 1 1", "\"lost\" 1006 1 1"]);
    // All of them: nothing is left to be measured.
    let url = serve(|ws| async move {
        drop(ws.close(CloseCode::try_from(4001).unwrap(), "").await);
        Ok(())
    });
    let (code, told) = result(&url, &["-d", "60", "-c", "2"]);
    assert_eq!((code, &told["because"]), (3, &"no connection left".into()), "{told:#}");
}

#[test]
fn without_a_server_it_says_what_to_do() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", free.local_addr().unwrap());
    drop(free);
    let output = bench(&url, &["-d", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("cannot connect") && said.contains("lastword serve"), "{said}");
}

#[test]
fn people_get_a_table_and_a_picture_and_files_if_they_want() {
    let url = serve(echo);
    let folder = std::env::temp_dir().join(format!("lastword-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (csv, svg) = (folder.join("a.csv"), folder.join("a.svg"));
    let output = bench(
        &url,
        &["-n", "500", "-c", "2", "--csv", csv.to_str().unwrap(), "--svg", svg.to_str().unwrap()],
    );
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for needle in [
        "2 connections, 1 in flight on each, 128 bytes of binary each; 500 messages",
        "all as they were sent",
        "p99.9",
        "closed 1000: closed by us: 1000 (normal closure)",
        "####",
    ] {
        assert!(said.contains(needle), "{needle:?} in {said}");
    }
    assert!(said.is_ascii(), "no colours and no blocks in a pipe: {said}");
    assert!(output.stderr.is_empty(), "no progress where no terminal is");
    let rows = std::fs::read_to_string(&csv).unwrap();
    assert!(rows.starts_with("percentile,latency_ms,messages_within\n"));
    assert!(rows.trim_end().ends_with(",500") && rows.contains("\n100.000000,"), "{rows}");
    let drawing = std::fs::read_to_string(&svg).unwrap();
    assert!(drawing.starts_with("<svg ") && drawing.contains("polyline") && drawing.contains(&url));
    std::fs::remove_dir_all(&folder).unwrap();
    let output = bench(&url, &["-n", "1", "--csv", folder.join("b").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_the_result_so_far() {
    use std::io::Read;
    let (url, seen) = serve_counted();
    let mut child = Command::new(env!("CARGO_BIN_EXE_lastword"))
        .args(["bench", &url, "-d", "1h", "--warm-up", "0", "-c", "2", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while seen.load(Ordering::Relaxed) < 100 {
        std::thread::yield_now();
    }
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let result: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{result:#}");
    assert_eq!(result["because"], "interrupted");
    assert_eq!(result["sent"], result["answered"]);
    assert_eq!(result["answered"], seen.load(Ordering::Relaxed));
}

#[test]
fn what_contradicts_itself_is_wrong_usage() {
    for args in [
        &["-r", "10", "--in-flight", "2"][..],
        &["--no-echo", "--receive-only"],
        &["-n", "1", "-d", "1"],
        &["-r", "0"],
        &["-r", "many"],
        &["-c", "0"],
    ] {
        let output = bench("ws://127.0.0.1:1", args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn the_largest_messages_and_windows_come_through() {
    let url = serve(echo);
    let args = ["-n", "30", "-c", "2", "--in-flight", "10", "--size", "1M", "--no-compression"];
    let (code, result) = result(&url, &args);
    assert_eq!((code, &result["answered"]), (0, &30.into()), "{result:#}");
    assert_eq!(result["bytes"], 30 << 20);
}

#[cfg(target_os = "linux")]
#[test]
fn too_few_files_for_all_connections_are_told_beforehand() {
    let url = serve(echo);
    let program = env!("CARGO_BIN_EXE_lastword");
    let line = format!("ulimit -n 64; exec {program} bench {url} -c 100 -n 100 --json");
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("64 files open, too few for 100 connections"), "{said}");
}
