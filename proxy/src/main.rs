//! t
fn main() {
    let a: Vec<_> = std::env::args().collect();
    holdfast::daemon::run_static(&a[1], &a[2]);
}
