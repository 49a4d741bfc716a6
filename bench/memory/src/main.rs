//! What a connection of a server holds in memory, while it is idle and after traffic.
//!
//! The server is a process of its own, with an allocator that counts; the load, in this process, opens
//! connections, has each of them echo a message, and asks the server before and after. What is held by
//! the server, not by its connections, is taken out: a few connections do all of it first, and leave.

mod kernel;
mod load;
mod server;
mod sites;
mod workload;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use peak_alloc::PeakAlloc;
use workload::{WORKLOADS, Workload};

#[global_allocator]
static BOOKS: PeakAlloc = PeakAlloc;

/// Bytes of memory for each connection of a server.
#[derive(Parser)]
#[command(name = "bench/memory/run")]
struct Args {
    #[arg(long, hide = true, default_value = ".cache/memory")]
    cache: PathBuf,
    /// Only workloads with this in their name.
    #[arg(long, default_value = "")]
    only: String,
    /// Write the figures as JSON lines.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Make today's figures the limits.
    #[arg(long)]
    write: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Where the memory was asked for, by DHAT.
    Sites {
        /// While idle after the opening, not after traffic and rest.
        #[arg(long)]
        idle: bool,
    },
    /// What the kernel holds for each socket, and what an opening costs, with this many connections.
    Kernel {
        #[arg(default_value_t = 5000)]
        connections: usize,
    },
    /// The server that is measured.
    #[command(hide = true)]
    Serve(server::ServeArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Command::Serve(serve)) = &args.command {
        return server::run(serve);
    }
    let workloads: Vec<_> = WORKLOADS.iter().filter(|w| w.name.contains(&args.only)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    match &args.command {
        Some(Command::Sites { idle }) => {
            for workload in workloads {
                runtime.block_on(sites::show(workload, *idle, &args.cache));
            }
            ExitCode::SUCCESS
        }
        Some(Command::Kernel { connections }) => {
            runtime.block_on(kernel::show(*connections, &args.cache));
            ExitCode::SUCCESS
        }
        _ => runtime.block_on(table(&args, &workloads)),
    }
}

/// What one workload came to, in bytes for each connection.
struct Row {
    /// After the opening.
    idle: f64,
    /// Right behind the traffic.
    busy: f64,
    /// After a quiet moment.
    rested: f64,
    /// The same as pages of the process, which is what the allocator makes of it.
    pages: f64,
}

async fn table(args: &Args, workloads: &[&Workload]) -> ExitCode {
    println!(
        "{:44}{:>10}{:>14}{:>12}{:>12}",
        "bytes per connection", "idle", "after traffic", "after rest", "as pages"
    );
    let mut rows = BTreeMap::new();
    for workload in workloads {
        let row = measure(workload, args).await;
        println!(
            "{:44}{:>10.0}{:>14.0}{:>12.0}{:>12.0}",
            workload.name, row.idle, row.busy, row.rested, row.pages
        );
        rows.insert(workload.name, row);
    }
    if let Some(path) = &args.json {
        let lines = rows.iter().map(|(name, row)| {
            let row = serde_json::json!({
                "workload": name, "idle": row.idle, "after traffic": row.busy,
                "after rest": row.rested, "as pages": row.pages,
            });
            format!("{row}\n")
        });
        fs::write(path, lines.collect::<String>()).expect("a file that can be written");
    }
    if args.write {
        write(&rows);
        return ExitCode::SUCCESS;
    }
    let mut exit = ExitCode::SUCCESS;
    for failure in compare(&rows) {
        eprintln!("{failure}");
        exit = ExitCode::FAILURE;
    }
    exit
}

async fn measure(workload: &Workload, args: &Args) -> Row {
    let mut server = load::Server::start(workload, None, &args.cache).await;
    let mut warm = server.open(workload, workload::WARM_UP).await;
    workload.traffic(&mut warm).await;
    load::close(warm).await;
    tokio::time::sleep(workload::SETTLE).await;
    let (before, pages_before) = server.books().await;
    let mut connections = server.open(workload, workload.connections).await;
    tokio::time::sleep(workload::SETTLE).await;
    let (idle, _) = server.books().await;
    workload.traffic(&mut connections).await;
    let (busy, _) = server.books().await;
    tokio::time::sleep(workload::REST).await;
    let (rested, pages) = server.books().await;
    let each = |now: u64, before: u64| (now as f64 - before as f64) / workload.connections as f64;
    Row {
        idle: each(idle, before),
        busy: each(busy, before),
        rested: each(rested, before),
        pages: each(pages, pages_before),
    }
}

/// What may not be exceeded, by more than three per cent: idle and after rest.
fn compare(rows: &BTreeMap<&str, Row>) -> Vec<String> {
    let limits = fs::read_to_string(LIMITS).unwrap_or_default();
    let limits: toml::Table = limits.parse().expect("limits.toml is TOML");
    let mut failures = Vec::new();
    for (&name, row) in rows {
        let Some(limit) = limits.get(name).and_then(toml::Value::as_table) else {
            failures.push(format!("{name}: no limit in limits.toml"));
            continue;
        };
        for (what, bytes) in [("idle", row.idle), ("after_rest", row.rested)] {
            let limit = limit.get(what).and_then(toml::Value::as_integer).unwrap_or(0) as f64;
            if bytes > limit * 1.03 {
                failures.push(format!("{name}: {bytes:.0} bytes {what}, the limit is {limit:.0}"));
            }
        }
    }
    failures
}

fn write(rows: &BTreeMap<&str, Row>) {
    let old = fs::read_to_string(LIMITS).unwrap_or_default();
    let comments: String = old
        .lines()
        .filter(|line| line.starts_with('#') || line.is_empty())
        .map(|l| format!("{l}\n"))
        .collect();
    let mut limits: toml::Table = old.parse().expect("limits.toml is TOML");
    for (&name, row) in rows {
        let mut limit = toml::Table::new();
        limit.insert("idle".into(), (row.idle.round() as i64).into());
        limit.insert("after_rest".into(), (row.rested.round() as i64).into());
        limits.insert(name.into(), limit.into());
    }
    let lines = limits.iter().map(|(name, limit)| {
        let figure = |what| limit.get(what).map_or_else(String::new, ToString::to_string);
        format!(
            "{name:?} = {{ idle = {}, after_rest = {} }}\n",
            figure("idle"),
            figure("after_rest")
        )
    });
    fs::write(LIMITS, comments + &lines.collect::<String>()).expect("limits.toml can be written");
}

const LIMITS: &str = "bench/memory/limits.toml";
