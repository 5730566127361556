//! Holdfast: the data plane and the daemon. One file for one step of a request's way.
