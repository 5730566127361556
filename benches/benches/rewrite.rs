//! What it costs to write the fields that the app gets, and those that come back: `cargo bench -p benches --bench rewrite`.

use benches::browser;
use criterion::{BatchSize, Criterion};
use holdfast::benching::Rewriting;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, SERVER};
use http::{HeaderMap, HeaderValue};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut rewriting = Rewriting::of(browser::head());
    criterion.bench_function("rewrite/to the app", |bench| {
        let passed = rewriting.passed();
        bench.iter_batched(
            || passed.clone(),
            |head| rewriting.outward(head),
            BatchSize::SmallInput,
        );
    });
    for (answer, fields) in [
        ("of a kept connection", answer()),
        ("that closes", answer_that_closes()),
    ] {
        criterion.bench_function(&format!("rewrite/an answer {answer}"), |bench| {
            bench.iter_batched_ref(
                || fields.clone(),
                |fields| rewriting.inward(fields),
                BatchSize::SmallInput,
            );
        });
    }
    criterion.final_summary();
}

fn answer() -> HeaderMap {
    let fields = [
        (SERVER, "an app"),
        (DATE, "Sat, 21 Nov 2026 17:00:00 GMT"),
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_LENGTH, "128"),
        (ETAG, "\"5f3c-61c\""),
    ];
    let fields = fields.into_iter();
    fields
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect()
}

fn answer_that_closes() -> HeaderMap {
    let mut fields = answer();
    fields.insert(CONNECTION, HeaderValue::from_static("close"));
    fields
}
