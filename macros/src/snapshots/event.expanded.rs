const _: () = {
    #[allow(unused_imports)]
    use ::domain_events::__private::{self as __p, autoref::*};
    #[__p::linkme::distributed_slice(__p::EVENTS)]
    #[linkme(crate = __p::linkme)]
    static __DEF: __p::EventDef = __p::EventDef::of::<CardAdded>(__p::source!());
    #[derive(__p::serde::Serialize, __p::serde::Deserialize)]
    #[serde(
        remote = "CardAdded",
        rename = "CardAdded",
        crate = "__p::serde",
        bound(
            serialize = "for < '__x > CardId : __p::serde::Serialize, for < '__x > Option < Url > : __p::serde::Serialize, for < '__x > DateTime < Utc > : __p::serde::Serialize",
            deserialize = "for < '__x > CardId : __p::serde::Deserialize < '__x >, for < '__x > Option < Url > : __p::serde::Deserialize < '__x >, for < '__x > DateTime < Utc > : __p::serde::Deserialize < '__x >"
        )
    )]
    #[serde(rename_all = "camelCase")]
    struct __Mirror {
        card_id: CardId,
        #[serde(default)]
        url: Option<Url>,
        occurred_at: DateTime<Utc>,
    }
    impl __p::BrokenMirror for __Mirror {}
    impl __p::WriteMirror<CardAdded> for __Mirror
    where
        for<'__x> CardId: __p::serde::Serialize,
        for<'__x> Option<Url>: __p::serde::Serialize,
        for<'__x> DateTime<Utc>: __p::serde::Serialize,
    {
        fn write<__S: __p::serde::Serializer>(
            __event: &CardAdded,
            __to: __S,
        ) -> __p::Result<__S::Ok, __S::Error> {
            __Mirror::serialize(__event, __to)
        }
    }
    impl<'__de> __p::ReadMirror<'__de, CardAdded> for __Mirror
    where
        for<'__x> CardId: __p::serde::Deserialize<'__x>,
        for<'__x> Option<Url>: __p::serde::Deserialize<'__x>,
        for<'__x> DateTime<Utc>: __p::serde::Deserialize<'__x>,
    {
        fn read<__D: __p::serde::Deserializer<'__de>>(
            __from: __D,
        ) -> __p::Result<CardAdded, __D::Error> {
            __Mirror::deserialize(__from)
        }
    }
    const _: fn() = || {
        #[allow(unused_variables)]
        let __own = (&&&&__p::Own::<CardAdded>::new()).sides();
        __own.stored::<CardId>();
        __own.stored::<Option<Url>>();
        __own.stored::<DateTime<Utc>>();
    };
    impl __p::RaisedBy<Card> for CardAdded {}
    impl __p::DomainEvent for CardAdded {
        type Aggregate = Card;
        const NAME: &'static __p::str = "card.added";
        const VERSION: __p::u32 = 2;
        const ALIASES: &'static [&'static __p::str] = &["CardAdded"];
        const DEF: &'static __p::EventDef = &__DEF;
        fn aggregate_id(&self) -> __p::AggregateId {
            __p::aggregate_id::<CardId>(&self.card_id)
        }
        fn occurred_at(&self) -> __p::Option<__p::DateTime<__p::Utc>> {
            __p::Some((__p::time::<DateTime<Utc>>().get)(self.occurred_at))
        }
        fn encode(&self) -> __p::Result<__p::Vec<__p::u8>, __p::PayloadError> {
            (&&&__p::Encoder::<Self, __Mirror>::new()).encode(self)
        }
        fn decode(__payload: &[__p::u8]) -> __p::Result<Self, __p::PayloadError> {
            (&&&__p::Decoder::<Self, __Mirror>::new()).decode(__payload)
        }
    }
    #[allow(dead_code, unreachable_pub, private_interfaces, clippy::too_many_arguments)]
    impl CardAdded {
        /// A `CardAdded` that occurred now.
        #[must_use]
        pub fn new(card_id: CardId, url: Option<Url>) -> Self {
            Self {
                card_id,
                url,
                occurred_at: (__p::time::<DateTime<Utc>>().stamp)(),
            }
        }
    }
};
