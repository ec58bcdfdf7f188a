//! A server that all cases share, or one that a case has for itself.

use std::{ops::Deref, sync::Arc};

use uuid::Uuid;

/// A server.
#[derive(Debug)]
pub(super) enum Server<S: 'static> {
    Shared(&'static S),
    Own(Arc<S>),
}

impl<S> Deref for Server<S> {
    type Target = S;

    fn deref(&self) -> &S {
        match self {
            Self::Shared(server) => server,
            Self::Own(server) => server,
        }
    }
}

/// A prefix for names on a broker that no other case has.
pub(super) fn prefix() -> String {
    format!("c{}", Uuid::now_v7().simple())
}

/// Makes a server of the test kit something that cases can hurt.
macro_rules! broker_in_a_process {
    ($server:ident) => {
        impl Broker for $server {
            fn kill(&self) {
                Self::kill(self);
            }

            fn restart(&self) {
                Self::restart(self);
            }

            fn freeze(&self) {
                self.pause();
            }

            fn thaw(&self) {
                self.resume();
            }
        }
    };
}

pub(super) use broker_in_a_process;
