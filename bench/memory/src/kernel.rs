//! What the kernel holds for each socket of an idle connection, and what the server's process spends on
//! an opening. Both ends of the connections are on this machine: a connection is two sockets here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::load::Server;
use crate::workload::{self, WORKLOADS};

/// Prints the caches of the kernel that grew, by the bytes of their pages.
pub(crate) async fn show(connections: usize, cache: &Path) {
    let workload = &WORKLOADS[0];
    let mut server = Server::start(workload, None, cache).await;
    // The first ones fill what is there already.
    let first = server.open(workload, workload::WARM_UP).await;
    tokio::time::sleep(workload::SETTLE).await;
    let (slabs, unaccounted, cpu, begun) =
        (slabs(), meminfo(), cpu(server.process()), Instant::now());
    let (user, _) = server.books().await;
    let open = server.open(workload, connections).await;
    let took = begun.elapsed();
    tokio::time::sleep(workload::SETTLE).await;
    let (user_after, _) = server.books().await;
    let each = |bytes: f64| bytes / connections as f64;

    println!("kernel memory, bytes for each socket ({connections} connections, two sockets each)");
    let mut sum = 0.0;
    let mut grew: Vec<_> = self::slabs()
        .into_iter()
        .map(|(name, now)| {
            let before = slabs.get(&name).copied().unwrap_or(0);
            (each(now as f64 - before as f64) / 2.0, name)
        })
        .collect();
    grew.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (bytes, name) in grew {
        sum += bytes;
        if bytes >= 8.0 {
            println!("{bytes:>10.0}  {name}");
        }
    }
    println!("{sum:>10.0}  all caches");
    let shrank = each(unaccounted as f64 - meminfo() as f64) / 2.0;
    println!("{shrank:>10.0}  free memory that went, user space of both sides included");
    println!(
        "user memory of the server: {:.0} bytes for each connection",
        each((user_after - user) as f64)
    );
    let spent = (self::cpu(server.process()) - cpu) * 1e6 / connections as f64;
    println!(
        "openings: {:.0} a second from one client task; {spent:.0} us of the server's CPU for each, kernel included",
        connections as f64 / took.as_secs_f64()
    );
    drop((first, open));
    server.end().await;
    pings(connections, cache).await;
}

/// Prints what a ping and its answer cost the server.
async fn pings(connections: usize, cache: &Path) {
    let pinged = WORKLOADS.iter().find(|workload| workload.pings.is_some());
    let workload = pinged.expect("a workload with pings");
    let server = Server::start(workload, None, cache).await;
    let open = server.open(workload, connections).await;
    tokio::time::sleep(workload::REST).await;
    let (begun, before) = (Instant::now(), cpu(server.process()));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let spent = (cpu(server.process()) - before) * 1e6;
    let interval = workload.pings.unwrap_or(1) as f64 / 1000.0;
    let pings = connections as f64 * begun.elapsed().as_secs_f64() / interval;
    println!(
        "pings: {:.1} us of the server's CPU for each and its answer, kernel included",
        spent / pings
    );
    drop(open);
    server.end().await;
}

/// Bytes of pages in each cache.
fn slabs() -> BTreeMap<String, u64> {
    let info = fs::read_to_string("/proc/slabinfo").expect("a slabinfo: it takes root");
    let caches = info.lines().skip(2).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?;
        let numbers: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
        // active_objs num_objs objsize objperslab pagesperslab, limits (3), active_slabs num_slabs
        let [_, _, _, _, pages_per_slab, .., slabs, _] = numbers[..] else { return None };
        Some((name.to_owned(), slabs * pages_per_slab * 4096))
    });
    caches.collect()
}

/// Free bytes of the machine.
fn meminfo() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = info.lines().find_map(|line| line.strip_prefix("MemFree:"));
    free.and_then(|free| free.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Seconds of CPU that a process has spent, in the kernel and outside.
fn cpu(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}
