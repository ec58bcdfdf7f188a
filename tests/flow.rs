//! The runtime from end to end, as an application uses it: macros, units of work, the processor, a person's actions.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "flow/bounds.rs"]
mod bounds;
#[path = "flow/bursts.rs"]
mod bursts;
#[path = "flow/chosen.rs"]
mod chosen;
#[path = "flow/commit.rs"]
mod commit;
#[path = "flow/dispatch.rs"]
mod dispatch;
#[path = "flow/failure.rs"]
mod failure;
#[path = "flow/foreign.rs"]
mod foreign;
#[path = "flow/hall.rs"]
mod hall;
#[path = "flow/halting.rs"]
mod halting;
#[path = "flow/kit.rs"]
mod kit;
#[path = "flow/library.rs"]
mod library;
#[path = "flow/logbook.rs"]
mod logbook;
#[path = "flow/operate.rs"]
mod operate;
#[path = "flow/resume.rs"]
mod resume;
#[path = "flow/shutdown.rs"]
mod shutdown;
#[path = "flow/startup.rs"]
mod startup;
#[path = "flow/strangers.rs"]
mod strangers;
#[path = "flow/transaction.rs"]
mod transaction;
