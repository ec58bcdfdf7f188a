const _: () = {
    #[allow(unused_imports)]
    use ::domain_events::__private::{self as __p, autoref::*};
    #[__p::linkme::distributed_slice(__p::EVENTS)]
    #[linkme(crate = __p::linkme)]
    static __DEF: __p::EventDef = __p::EventDef::of::<CardMoved>(__p::source!());
    #[derive(__p::serde::Serialize, __p::serde::Deserialize)]
    #[serde(
        remote = "CardMoved",
        rename = "CardMoved",
        crate = "__p::serde",
        bound(
            serialize = "for < '__x > CardId : __p::serde::Serialize, for < '__x > CollectionId : __p::serde::Serialize",
            deserialize = "for < '__x > CardId : __p::serde::Deserialize < '__x >, for < '__x > CollectionId : __p::serde::Deserialize < '__x >"
        )
    )]
    enum __Mirror {
        #[serde(rename = "in")]
        In { card_id: CardId, collection: CollectionId },
        Out(CardId),
    }
    impl __p::BrokenMirror for __Mirror {}
    impl __p::WriteMirror<CardMoved> for __Mirror
    where
        for<'__x> CardId: __p::serde::Serialize,
        for<'__x> CollectionId: __p::serde::Serialize,
    {
        fn write<__S: __p::serde::Serializer>(
            __event: &CardMoved,
            __to: __S,
        ) -> __p::Result<__S::Ok, __S::Error> {
            __Mirror::serialize(__event, __to)
        }
    }
    impl<'__de> __p::ReadMirror<'__de, CardMoved> for __Mirror
    where
        for<'__x> CardId: __p::serde::Deserialize<'__x>,
        for<'__x> CollectionId: __p::serde::Deserialize<'__x>,
    {
        fn read<__D: __p::serde::Deserializer<'__de>>(
            __from: __D,
        ) -> __p::Result<CardMoved, __D::Error> {
            __Mirror::deserialize(__from)
        }
    }
    const _: fn() = || {
        #[allow(unused_variables)]
        let __own = (&&&&__p::Own::<CardMoved>::new()).sides();
        __own.stored::<CardId>();
        __own.stored::<CollectionId>();
    };
    impl __p::RaisedBy<cards::Card> for CardMoved {}
    impl __p::DomainEvent for CardMoved {
        type Aggregate = cards::Card;
        const NAME: &'static __p::str = "CardMoved";
        const VERSION: __p::u32 = 1;
        const ALIASES: &'static [&'static __p::str] = &[];
        const DEF: &'static __p::EventDef = &__DEF;
        fn aggregate_id(&self) -> __p::AggregateId {
            match self {
                Self::In { card_id: __field, .. } => {
                    __p::aggregate_id::<CardId>(&*__field)
                }
                Self::Out { 0: __field, .. } => __p::aggregate_id::<CardId>(&*__field),
            }
        }
        fn encode(&self) -> __p::Result<__p::Vec<__p::u8>, __p::PayloadError> {
            (&&&__p::Encoder::<Self, __Mirror>::new()).encode(self)
        }
        fn decode(__payload: &[__p::u8]) -> __p::Result<Self, __p::PayloadError> {
            (&&&__p::Decoder::<Self, __Mirror>::new()).decode(__payload)
        }
    }
};
