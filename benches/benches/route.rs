//! What it costs to find the app of a request: `cargo bench -p benches --bench route`.
//!
//! By the number of hosts, by how a host is written, and by how many path prefixes a host has.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use holdfast::benching::Routing;

const HOSTS: [usize; 3] = [1, 100, 5_000];
/// So many hosts lead to one app.
const HOSTS_OF_AN_APP: usize = 250;
const PREFIXES: usize = 50;
const PATH: &str = "/catalogue/garden/tools";

type App = (Vec<String>, Vec<String>);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    hosts(&mut criterion, "route/exact host", "", "");
    hosts(&mut criterion, "route/wildcard", "*.", "www.");
    every_host(&mut criterion);
    prefixes(&mut criterion);
    nobody(&mut criterion);
    criterion.final_summary();
}

/// Each host is written with `written` in front, and asked for with `asked`. The one in the middle is looked for.
fn hosts(criterion: &mut Criterion, question: &str, written: &str, asked: &str) {
    let mut group = criterion.benchmark_group(question);
    for number in HOSTS {
        let hosts: Vec<String> = (0..number).map(host).collect();
        let apps: Vec<App> = hosts
            .chunks(HOSTS_OF_AN_APP)
            .map(|hosts| {
                let hosts = hosts.iter().map(|host| format!("{written}{host}"));
                (hosts.collect(), root())
            })
            .collect();
        let wanted = format!("{asked}{}", hosts[number / 2]);
        find(
            &mut group,
            BenchmarkId::from_parameter(number),
            &apps,
            &wanted,
        );
    }
    group.finish();
}

fn every_host(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    let apps = [(Vec::new(), root())];
    find(
        &mut group,
        BenchmarkId::from_parameter("every host"),
        &apps,
        &host(0),
    );
    group.finish();
}

/// The shortest of them takes the path, so that each is looked at.
fn prefixes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    let prefixes = (0..PREFIXES).map(|number| format!("/catalogue/garden/{number:06}"));
    let apps = [
        (vec![host(0)], root()),
        (vec![host(0)], prefixes.collect::<Vec<_>>()),
    ];
    let id = BenchmarkId::new("path prefixes", PREFIXES);
    find(&mut group, id, &apps, &host(0));
    group.finish();
}

fn nobody(criterion: &mut Criterion) {
    let apps = [(vec![host(0)], root())];
    let routing = Routing::of(&apps);
    criterion.bench_function("route/no app", |bench| {
        bench.iter(|| {
            assert!(
                routing
                    .find(black_box("a.b.elsewhere.test"), PATH)
                    .is_none()
            )
        });
    });
}

fn find(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    id: BenchmarkId,
    apps: &[App],
    host: &str,
) {
    let routing = Routing::of(apps);
    group.bench_function(id, |bench| {
        bench.iter(|| assert!(routing.find(black_box(host), black_box(PATH)).is_some()));
    });
}

fn host(number: usize) -> String {
    format!("h{number}.shop.example.com")
}

fn root() -> Vec<String> {
    vec!["/".to_owned()]
}
