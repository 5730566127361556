//! What one event of a promote costs the machine that decides it: `cargo bench -p benches --bench step`.
//!
//! Three events make a promote with strategy overlap: somebody asks, the release is ready, the old one has drained.

use std::hint::black_box;

use benches::promote::Promoted;
use criterion::{BatchSize, Criterion};
use swap_core::{Moment, step};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for Promoted {
        what,
        app,
        event,
        phase,
    } in benches::promote::events()
    {
        let now = Moment::default();
        assert_eq!(step(&app, event.clone(), now).app.phase(), phase, "{what}");
        criterion.bench_function(&format!("step/{what}"), |bench| {
            bench.iter_batched(
                || event.clone(),
                |event| step(black_box(&app), event, now),
                BatchSize::SmallInput,
            );
        });
    }
    criterion.final_summary();
}
