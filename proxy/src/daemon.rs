//! temporary static daemon
use holdfast_control::plane::DataPlane;
use std::collections::BTreeMap;
use swap_core::*;
pub fn run_static(listen: &str, upstream: &str) {
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    rt.block_on(async {
        crate::limits::raise_open_files();
        let bound = crate::workers::bind(&[listen.parse().unwrap()], 2).unwrap();
        println!("{:?}", bound.addresses);
        let (workers, mut signals) = crate::workers::Workers::new(bound, &crate::access_log::AccessLog::off(), tokio::runtime::Handle::current());
        let app = holdfast_config::App { hosts: vec![], paths: vec!["/".into()], strip_prefix: false, release_header: Some("x-release".into()), release: None,
            probe: holdfast_config::Probe { path: "/up".into(), interval: std::time::Duration::from_secs(1), timeout: std::time::Duration::from_secs(5), passes: 1 },
            hold: holdfast_config::Hold { max_requests: 10000, max_bytes: 64 << 20, max_wait: std::time::Duration::from_secs(30), max_share: 1.0, when_down: true, resume_rate: holdfast_config::ResumeRate::Auto, answer_probes: true },
            timeouts: holdfast_config::Timeouts { boot: std::time::Duration::from_secs(60), drain: std::time::Duration::from_secs(30), drain_held: std::time::Duration::from_secs(5), connect: std::time::Duration::from_secs(2), response: std::time::Duration::from_secs(60) } };
        let name: AppName = "default".parse().unwrap();
        let plane = workers.plane.clone();
        plane.configure(&BTreeMap::from([(name.clone(), app)]));
        let rel = |n: &str| Some(Release { id: n.parse().unwrap(), instances: vec![upstream.parse().unwrap()] });
        plane.publish(&name, Generation(1), GateId(1), rel("r1"));
        let _running = workers.start().unwrap();
        plane.release(&name);
        let mut gate = 1;
        let mut stdin = tokio::io::BufReader::new(tokio::io::stdin());
        let mut line = String::new();
        use tokio::io::AsyncBufReadExt;
        loop {
            tokio::select! {
                s = signals.next() => { println!("{s:?}"); 
                    if let plane_signal @ holdfast_control::plane::Signal::LiveDown(..) = s { let _ = plane_signal; let p = plane.clone(); let n = name.clone(); tokio::spawn(async move { tokio::time::sleep(std::time::Duration::from_millis(300)).await; p.release(&n) }); } }
                n = stdin.read_line(&mut line) => { if n.unwrap() == 0 { std::future::pending::<()>().await; }
                    match line.trim() {
                        "hold" => { plane.hold(&name, Cause::Command, Methods::ALL); gate += 1; plane.publish(&name, Generation(gate), GateId(gate), rel("r2")); plane.close(&name, GateId(gate-1), Methods::ALL, false); }
                        "resume" => plane.release(&name),
                        "swap" => { gate += 1; plane.publish(&name, Generation(gate), GateId(gate), rel("r3")); plane.close(&name, GateId(gate-1), Methods::ALL, false); plane.release(&name) }
                        "t" => println!("{:#?}", plane.traffic(&name)),
                        _ => {}
                    } line.clear(); }
            }
        }
    });
}
