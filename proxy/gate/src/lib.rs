//! The gate and the wait queue.
