//! `compare`, from outside.

mod compare;
