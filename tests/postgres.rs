//! What breaks between an application and its PostgreSQL server, and what stands between them: nothing is lost, nothing
//! is out of order, and what a transactional handler writes is there once.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[path = "postgres/cut.rs"]
mod cut;
#[path = "postgres/failover.rs"]
mod failover;
#[path = "postgres/kit.rs"]
mod kit;
#[path = "postgres/pooled.rs"]
mod pooled;
#[path = "postgres/refused.rs"]
mod refused;
#[path = "postgres/transactional.rs"]
mod transactional;
#[path = "faults/trouble.rs"]
mod trouble;
#[path = "faults/warnings.rs"]
mod warnings;
