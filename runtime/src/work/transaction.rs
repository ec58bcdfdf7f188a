//! The store's transaction as a handler's parameter.
//!
//! It stands here because only this room knows both the handlers and the stores.

use std::time::Duration;

use crate::{
    handler::{Connection, TransactionOffer},
    store::EventLog,
};

/// What a store offers to handlers that take a transaction.
pub(crate) fn transaction_offer<S: EventLog>(store: &S, lease: Duration) -> TransactionOffer {
    let capabilities = store.capabilities();
    TransactionOffer {
        store: capabilities.name,
        connection: capabilities.transactional.then(Connection::of::<S::Connection>),
        longest: if capabilities.concurrent_writers { Duration::MAX } else { lease / 2 },
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use crate::handler::{Dependency, Inject, Invocation};

    // Or what rustc says about a wrong parameter would depend on the features: the trait's own note has them all.
    #[diagnostic::do_not_recommend]
    impl<'a> Inject<'a> for &'a mut sqlx::SqliteConnection {
        const DEPENDENCY: Dependency = Dependency::transaction::<sqlx::SqliteConnection>();

        fn inject(call: &mut Invocation<'a>, _: usize) -> Self {
            call.transaction()
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use crate::handler::{Dependency, Inject, Invocation};

    #[diagnostic::do_not_recommend]
    impl<'a> Inject<'a> for &'a mut sqlx::PgConnection {
        const DEPENDENCY: Dependency = Dependency::transaction::<sqlx::PgConnection>();

        fn inject(call: &mut Invocation<'a>, _: usize) -> Self {
            call.transaction()
        }
    }
}

#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod sql {
    use crate::{
        handler::{Dependency, Inject, Invocation},
        store::SqlTransaction,
    };

    #[diagnostic::do_not_recommend]
    impl<'a> Inject<'a> for &'a mut SqlTransaction {
        const DEPENDENCY: Dependency = Dependency::transaction::<SqlTransaction>();

        fn inject(call: &mut Invocation<'a>, _: usize) -> Self {
            call.transaction()
        }
    }
}
