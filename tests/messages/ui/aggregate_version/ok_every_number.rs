use domain_events::prelude::*;


macro_rules! versioned {
    ($($name:ident: $ty:ty),*) => {$(
        #[aggregate_root(name = concat!("test.", stringify!($name)))]
        struct $name {
            #[aggregate(id)]
            id: u8,
            #[aggregate(version)]
            version: $ty,
            pending: domain_events::PendingEvents,
        }
    )*};
}

versioned!(A: u64, B: i64, C: u32, D: i32);

fn main() {
    let a = A { id: 1, version: 7, pending: Default::default() };
    assert_eq!(a.aggregate_version(), Some(7));
    assert_eq!(<B as domain_events::event::AggregateType>::NAME, "test.B");
}
