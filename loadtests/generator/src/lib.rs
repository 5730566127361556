//! Load that cannot be fooled: every request has an id, every app keeps a ledger of them, and both are
//! joined afterwards.
//!
//! ```text
//!  load ──── requests with ids ────► what is tested ────► app (a child process)
//!   │ a record for each                                     │ a line for each
//!   └──────────────► Run ──────► Findings ◄────── Ledger ◄──┘
//!                                   │
//!                                Report: HTML, JSON, text
//! ```
//!
//! It is *open loop*: requests start when the schedule says so, whatever became of those before, and a latency counts
//! from the intended start. A client that waited politely would not see the outage that it waited through.
//!
//! Nothing here knows anything of what it tests, except for the field `Proxy-Status` (RFC 9209) in which a proxy says that
//! an answer is its own, and `X-Held-Ms` in which it tells the app how long a request was held.

pub mod app;
pub mod clock;
pub mod findings;
pub mod ledger;
pub mod load;
pub mod report;
pub mod run;
pub mod series;
pub mod toxic;
pub mod verdict;

mod limits;
mod payload;
mod websocket;
