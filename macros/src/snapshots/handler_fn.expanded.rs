async fn notify(
    event: &CardAdded,
    mailer: Service<dyn Mailer>,
    meta: &EventMeta,
) -> Result<(), MailError> {
    mailer.send(event, meta).await
}
#[doc(hidden)]
#[allow(non_upper_case_globals, unreachable_pub)]
const __domain_events_handler_notify: &'static ::domain_events::__private::HandlerDef = {
    use ::domain_events::__private as __p;
    #[__p::linkme::distributed_slice(__p::HANDLERS)]
    #[linkme(crate = __p::linkme)]
    static __DEF: __p::HandlerDef = __p::HandlerDef {
        name: "notify",
        group: __p::Some("mail"),
        aliases: &[],
        source: __p::source!(),
        events: &[
            __p::HandledEvent {
                event: __p::handled_event::<CardAdded, CardAdded>(),
                dependencies: &[
                    __p::dependency::<Service<dyn Mailer>>(),
                    __p::dependency::<&EventMeta>(),
                ],
                call: |__call, __cx| __p::run(
                    __p::place(),
                    notify(
                        __call.event(),
                        __p::inject::<Service<dyn Mailer>>(__call, 0usize),
                        __p::inject::<&EventMeta>(__call, 1usize),
                    ),
                    __p::output::<Result<(), MailError>>(),
                    __cx,
                ),
            },
        ],
        instance: __p::None,
        options: __p::HandlerOptions::DEFAULT
            .max_attempts(5)
            .backoff(
                __p::Backoff::exponential(__p::millis(500u64), __p::millis(600000u64)),
            )
            .on_dead(__p::OnDead::Park)
            .once(true),
    };
    &__DEF
};
