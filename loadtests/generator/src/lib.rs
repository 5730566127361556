//! Open-loop load in which every request has an id, an app that keeps a ledger of them, and the report.
