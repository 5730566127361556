//! `compare` and `instructions`, from outside.

mod compare;
mod instructions;
