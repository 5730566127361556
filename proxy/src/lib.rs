//! Holdfast: the data plane and the daemon. One file for one step of a request's way:
//! listen → http (`connection`) → policy → route → door → pick (`lease`) → upstream → forward; `way` tells it whole.

mod access_log;
mod account;
mod answer;
mod body;
mod clock;
mod connection;
mod counters;
pub mod daemon;
mod door;
mod exchange;
mod forward;
mod io;
mod lease;
mod limits;
mod linger;
mod listen;
mod plane;
mod policy;
mod release;
mod route;
mod stop;
mod table;
#[cfg(test)]
mod testing;
mod tunnel;
mod upstream;
mod watch;
mod way;
mod worker;
mod workers;
