//! What Holdfast promises to clients and deploy scripts, on real sockets, with the real daemon as a child process.

mod app;
mod bodies;
mod client;
mod daemon;
mod down;
mod edges;
mod holding;
mod swapping;
mod tunnels;
