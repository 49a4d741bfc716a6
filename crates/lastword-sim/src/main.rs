//! The commands: `run` throws schedules, `replay` shows one, `play` takes one from a file, `explore`
//! tries every order of a small world.

use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use lastword_sim::broken::Broken;
use lastword_sim::explore::{self, Space};
use lastword_sim::script::Script;
use lastword_sim::setup::Setup;
use lastword_sim::shrink::shrink;
use lastword_sim::world::World;

/// A network of the mind: every rule of an ending, held against what really happened.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Throws random schedules, on all cores, until the time is over or a rule breaks.
    Run {
        /// For how many seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// The first seed; the others follow. By default one that differs from run to run.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Shows the schedule of a seed, step by step, and how it ends.
    Replay {
        /// The seed.
        seed: u64,
    },
    /// Plays a schedule from a file (`-`: standard input).
    Play {
        /// The file.
        file: String,
    },
    /// Explores every order of what can happen in a small world, breadth first.
    Explore {
        /// Which world; all of them by default.
        space: Option<String>,
        /// To how many actions; to the depth that each world has, by default.
        #[arg(long)]
        depth: Option<usize>,
        /// To the depth that each world has for the long form of the proof.
        #[arg(long)]
        long: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run { seconds, seed } => run(Duration::from_secs(seconds), seed),
        Command::Replay { seed } => show(&Script::of(seed)),
        Command::Play { file } => read(&file).and_then(|script| show(&script)),
        Command::Explore { space, depth, long } => {
            explore(space.as_deref(), |space| depth.unwrap_or(space.depths[usize::from(long)]))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(time: Duration, seed: Option<u64>) -> Result<(), String> {
    let first = seed.unwrap_or_else(|| fastrand::u64(..1 << 40));
    println!("seeds from {first}");
    let (next, steps, ended) = (AtomicU64::new(first), AtomicU64::new(0), AtomicU64::new(0));
    let (start, failed) = (Instant::now(), AtomicBool::new(false));
    let work = || {
        while start.elapsed() < time && !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            match play(&Script::of(seed)) {
                Ok(world) => {
                    steps.fetch_add(world.steps, Ordering::Relaxed);
                    ended.fetch_add(world.sides.len() as u64, Ordering::Relaxed);
                }
                Err(broken) => {
                    failed.store(true, Ordering::Relaxed);
                    return Some((seed, broken));
                }
            }
        }
        None
    };
    let found: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok().flatten()).collect()
    });
    let (worlds, steps) = (next.into_inner() - first, steps.into_inner());
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{worlds} worlds, {} endings, {steps} steps in {seconds:.1} s: {:.2} million steps a second",
        ended.into_inner(),
        steps as f64 / seconds / 1e6,
    );
    let Some((seed, broken)) = found.into_iter().min_by_key(|(seed, _)| *seed) else {
        println!("every rule held");
        return Ok(());
    };
    Err(tell(&Script::of(seed), &broken, &format!("lastword-sim replay {seed}")))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A panic is a broken rule like others, and is found, shrunk and told like them.
fn play(script: &Script) -> Result<World, Broken> {
    catch_unwind(AssertUnwindSafe(|| script.play())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(Broken::new("nothing panics", text.unwrap_or_default()))
    })
}

fn tell(script: &Script, broken: &Broken, again: &str) -> String {
    if broken.rule == "nothing panics" {
        return format!("{broken}\nagain: {again}");
    }
    let (short, broken) = shrink(script, broken);
    format!("{broken}\nagain: {again}\nshortened, for `lastword-sim play -`:\n{short}")
}

fn show(script: &Script) -> Result<(), String> {
    let mut world = World::new(Setup::of(script.setup));
    println!("{:#?}", world.setup);
    for (number, action) in script.actions.iter().enumerate() {
        let result = world.apply(*action);
        let states = world.sides.iter().map(|side| format!("{:?}", side.connection));
        println!("{number:4}  {action:20}  {}", states.collect::<Vec<_>>().join("  "));
        result.map_err(|broken| tell(script, &broken, "as above"))?;
    }
    world.come_to_rest(script.rest).map_err(|broken| tell(script, &broken, "as above"))?;
    for (index, side) in world.sides.iter().enumerate() {
        if let Some(ending) = side.connection.ending() {
            println!("{index} {:?}: {ending}", side.role);
        }
    }
    println!("every rule held");
    Ok(())
}

fn read(file: &str) -> Result<Script, String> {
    let mut text = String::new();
    let result = match file {
        "-" => std::io::stdin().read_to_string(&mut text).map(|_| ()),
        path => std::fs::read_to_string(path).map(|read| text = read),
    };
    result.map_err(|error| format!("cannot read {file}: {error}"))?;
    text.parse()
}

fn explore(name: Option<&str>, depth: impl Fn(&Space) -> usize + Sync) -> Result<(), String> {
    let spaces = Space::all();
    let chosen: Vec<_> = spaces.iter().filter(|s| name.is_none_or(|n| n == s.name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = spaces.iter().map(|space| space.name).collect();
        return Err(format!("no such world; there are: {}", names.join(", ")));
    }
    println!("{:12} {:>6} {:>12} {:>12} {:>8}", "world", "depth", "states", "steps", "s");
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), String> {
        while let Some(space) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let start = Instant::now();
            let found = explore::explore(space, depth(space)).map_err(|failed| {
                let (script, broken) = *failed;
                tell(&script, &broken, "the script below")
            })?;
            let (states, steps, name) = (found.states, found.steps, space.name);
            let seconds = start.elapsed().as_secs_f64();
            let all = if found.exhausted { "  all there are" } else { "" };
            println!("{name:12} {:6} {states:12} {steps:12} {seconds:8.1}{all}", found.depth);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    println!("every rule held in every state");
    Ok(())
}
