//! nats: not built yet.

use std::sync::Arc;

use super::{Transport, address::Address};
use crate::error::{Error, ErrorKind, Result};

/// The transport at this address.
pub(super) fn open(url: &str) -> Result<Arc<dyn Transport>> {
    let address = Address::parse(url, &[])?;
    Err(Error::new(ErrorKind::Configuration, format!("{} is not built yet", address.shown())))
}
