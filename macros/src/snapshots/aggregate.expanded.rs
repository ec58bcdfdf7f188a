#[derive(Debug)]
pub struct Card {
    id: CardId,
    version: u64,
    events: PendingEvents,
}
const _: () = {
    use ::domain_events::__private as __p;
    #[__p::linkme::distributed_slice(__p::AGGREGATES)]
    #[linkme(crate = __p::linkme)]
    static __DEF: __p::AggregateDef = __p::AggregateDef::of::<Card>(__p::source!());
    impl __p::AggregateType for Card {
        const NAME: &'static __p::str = "Card";
    }
    impl __p::AggregateRoot for Card {
        fn aggregate_id(&self) -> __p::AggregateId {
            __p::aggregate_id::<CardId>(&self.id)
        }
        fn aggregate_version(&self) -> __p::Option<__p::u64> {
            __p::Some((__p::version::<u64>().get)(self.version))
        }
        fn advance_version(&mut self) -> __p::Option<__p::u64> {
            self.version = (__p::version::<u64>().next)(self.version);
            __p::AggregateRoot::aggregate_version(self)
        }
        fn pending(&self) -> &__p::PendingEvents {
            &self.events
        }
        fn pending_mut(&mut self) -> &mut __p::PendingEvents {
            &mut self.events
        }
    }
};
