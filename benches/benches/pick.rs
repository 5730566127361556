//! What it costs to pin a release and to choose one of its instances: `cargo bench -p benches --bench pick`.
//!
//! The end of the request is in it: gate and counters are left as they were.

use criterion::{BenchmarkId, Criterion};
use holdfast::benching::Picking;

const INSTANCES: [u16; 3] = [1, 2, 16];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("pick");
    for instances in INSTANCES {
        let picking = Picking::among(instances);
        group.bench_function(BenchmarkId::new("among", instances), |bench| {
            bench.iter(|| assert!(picking.pick().is_some(), "its gate is open"));
        });
    }
    group.finish();
    criterion.final_summary();
}
