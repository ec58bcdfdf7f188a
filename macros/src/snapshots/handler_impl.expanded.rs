impl Index {
    async fn handle(&self, event: &CardAdded) -> Result<(), IndexError> {
        self.store.put(&event.card_id).await
    }
}
#[doc(hidden)]
#[allow(non_upper_case_globals, unreachable_pub)]
pub(crate) const __the_one_event_handler_block_of_Index: &'static ::domain_events::__private::HandlerDef = {
    use ::domain_events::__private as __p;
    #[__p::linkme::distributed_slice(__p::HANDLERS)]
    #[linkme(crate = __p::linkme)]
    static __DEF: __p::HandlerDef = __p::HandlerDef {
        name: "Index",
        group: __p::None,
        aliases: &[],
        source: __p::source!(),
        events: &[
            __p::HandledEvent {
                event: __p::handled_event::<CardAdded, CardAdded>(),
                dependencies: &[],
                call: |__call, __cx| __p::run(
                    __p::place(),
                    <Index>::handle(__call.instance(), __call.event()),
                    __p::output::<Result<(), IndexError>>(),
                    __cx,
                ),
            },
        ],
        instance: __p::Some(__p::build::<Index>),
        options: __p::HandlerOptions::DEFAULT,
    };
    &__DEF
};
