impl Index {
    async fn on_added(&self, event: &CardAdded) {}
    async fn on_removed(
        &self,
        event: &CardRemoved,
        attempt: Attempt,
    ) -> Result<(), IndexError> {
        Ok(())
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
                    <Index>::on_added(__call.instance(), __call.event()),
                    __p::output::<()>(),
                    __cx,
                ),
            },
            __p::HandledEvent {
                event: __p::handled_event::<CardRemoved, CardRemoved>(),
                dependencies: &[__p::dependency::<Attempt>()],
                call: |__call, __cx| __p::run(
                    __p::place(),
                    <Index>::on_removed(
                        __call.instance(),
                        __call.event(),
                        __p::inject::<Attempt>(__call, 0usize),
                    ),
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
