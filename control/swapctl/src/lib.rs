//! swapctl: the command that deploy scripts call. One verb, one file.
