//! What a request pays for its snapshot of the table: `cargo bench -p benches --bench table`.
//!
//! All but the first request of a worker after a publish meet the table that the worker knows already.

use criterion::{BatchSize, Criterion};
use holdfast::benching::Tables;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let tables = Tables::of_one_app();
    criterion.bench_function("table/load", |bench| {
        bench.iter(|| tables.load());
    });
    criterion.bench_function("table/load after a publish", |bench| {
        // One publish for one load.
        bench.iter_batched(
            || tables.publish(),
            |()| tables.load(),
            BatchSize::PerIteration,
        );
    });
    criterion.final_summary();
}
