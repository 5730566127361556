//! What it costs to check a head, passed or refused: `cargo bench -p benches --bench policy`.

use benches::browser;
use criterion::{BatchSize, Criterion};
use holdfast::benching::Policy;
use http::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{StatusCode, Version};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    passed(&mut criterion);
    refused(&mut criterion);
    criterion.final_summary();
}

fn passed(criterion: &mut Criterion) {
    check(criterion, "a browser's GET", None, |_| {});
    check(criterion, "hop-by-hop fields", None, |head| {
        let fields = &mut head.headers;
        fields.insert(CONNECTION, HeaderValue::from_static("keep-alive, x-mine"));
        fields.insert("x-mine", HeaderValue::from_static("1"));
        fields.insert("keep-alive", HeaderValue::from_static("timeout=5"));
    });
}

/// The earliest refusal, and the last ones of those that look at fields.
fn refused(criterion: &mut Criterion) {
    let bad = Some(StatusCode::BAD_REQUEST);
    check(criterion, "an underscore in a name", bad, |head| {
        let one = HeaderValue::from_static("1");
        head.headers.insert("x_mine", one);
    });
    check(criterion, "a coding in HTTP/1.0", bad, |head| {
        head.version = Version::HTTP_10;
        let chunked = HeaderValue::from_static("chunked");
        head.headers.insert(TRANSFER_ENCODING, chunked);
    });
    check(criterion, "two hosts", bad, |head| {
        let another = HeaderValue::from_static("another.example.com");
        head.headers.append(HOST, another);
    });
}

/// `change` makes of a browser's GET the head that is asked about.
fn check(
    criterion: &mut Criterion,
    what: &str,
    refused: Option<StatusCode>,
    change: impl Fn(&mut Parts),
) {
    let policy = Policy::default();
    let mut head = browser::head();
    change(&mut head);
    let outcome = |head: &mut Parts| policy.check(head).err();
    assert_eq!(outcome(&mut head.clone()), refused, "{what}");
    criterion.bench_function(&format!("policy/{what}"), |bench| {
        bench.iter_batched_ref(
            || head.clone(),
            |head| policy.check(head),
            BatchSize::SmallInput,
        );
    });
}
