//! Where the memory of a connection was asked for: what valgrind's DHAT saw alive at the end, divided
//! by the number of connections.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::load::Server;
use crate::workload::{self, Workload};

/// Prints a line for each place of the code, the largest first.
pub(crate) async fn show(workload: &Workload, idle: bool, cache: &Path) {
    let (few, many) = (10, 10 + workload.connections.min(200));
    let (less, more) =
        (held(workload, few, idle, cache).await, held(workload, many, idle, cache).await);
    let each = |now: u64, before: u64| (now as f64 - before as f64) / (many - few) as f64;
    let mut rows: Vec<_> = more
        .into_iter()
        .map(|(site, (bytes, blocks))| {
            let (bytes_before, blocks_before) = less.get(&site).copied().unwrap_or_default();
            (each(bytes, bytes_before), each(blocks, blocks_before), site)
        })
        .filter(|(bytes, ..)| *bytes >= 1.0)
        .collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{}{}", workload.name, if idle { ", idle" } else { ", after rest" });
    println!("{:>10}{:>10}  asked for in", "bytes", "blocks");
    for (bytes, blocks, site) in &rows {
        println!("{bytes:>10.0}{blocks:>10.2}  {site}");
    }
    let (bytes, blocks) = rows.iter().fold((0.0, 0.0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
    println!("{bytes:>10.0}{blocks:>10.2}  in all\n");
}

/// What is alive, by place: bytes and blocks.
async fn held(
    workload: &Workload,
    connections: usize,
    idle: bool,
    cache: &Path,
) -> BTreeMap<String, (u64, u64)> {
    let out = cache.join("dhat.json");
    let server = Server::start(workload, Some(&out), cache).await;
    let mut open = server.open(workload, connections).await;
    if !idle {
        workload.traffic(&mut open).await;
        tokio::time::sleep(workload::REST).await;
    }
    tokio::time::sleep(workload::SETTLE).await;
    server.end().await;
    drop(open);
    let profile = fs::read(&out).expect("a profile");
    let profile: Value = serde_json::from_slice(&profile).expect("a profile in JSON");
    let frames = profile["ftbl"].as_array().expect("a table of frames");
    let mut sites: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for point in profile["pps"].as_array().expect("points of the program") {
        let bytes = point["eb"].as_u64().unwrap_or(0);
        if bytes == 0 {
            continue;
        }
        let stack = point["fs"].as_array().expect("a stack").iter();
        let stack: Vec<_> = stack
            .filter_map(|at| frames.get(usize::try_from(at.as_u64()?).ok()?)?.as_str())
            .map(short)
            .collect();
        let site = sites.entry(site(&stack)).or_default();
        site.0 += bytes;
        site.1 += point["ebk"].as_u64().unwrap_or(0);
    }
    sites
}

/// The innermost frames that say what the memory is for.
fn site(stack: &[String]) -> String {
    let telling = stack.iter().filter(|frame| !MACHINERY.iter().any(|word| frame.contains(word)));
    let mut names: Vec<_> = telling.map(|frame| without_types(frame)).collect();
    names.dedup();
    names.truncate(2);
    // What is made there, which the allocator's own innermost frames know.
    let made = stack.iter().filter(|frame| frame.contains("library/alloc/")).find_map(|frame| {
        let kind = frame.split_once("new<")?.1.split_once("> (")?.0;
        Some(without_types(kind.trim_start_matches("alloc::sync::ArcInner<")))
    });
    made.map_or_else(|| names.join(" < "), |made| format!("{made}: {}", names.join(" < ")))
}

/// A frame without its address.
fn short(frame: &str) -> String {
    frame.split_once(": ").map_or(frame, |(_, name)| name).to_owned()
}

/// A name without what stands in angle brackets.
fn without_types(name: &str) -> String {
    let mut depth = 0_usize;
    let mut plain = String::new();
    for character in name.chars() {
        match character {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(character),
            _ => {}
        }
    }
    plain
}

/// Frames that say how memory is asked for, not what for.
const MACHINERY: [&str; 6] =
    ["(in /", "library/", "[root]", "(src/lib.rs:", "(src/main.rs:", "__rust_alloc"];
