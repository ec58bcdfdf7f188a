const _: () = {
    use ::domain_events::__private as __p;
    impl __p::FromServices for Index {
        fn from_services(
            __services: &mut __p::ServiceScope<'_>,
        ) -> __p::Result<Self, __p::MissingService> {
            let __field_0 = __p::field::<Service<dyn Store>>(__services);
            let __field_1 = __p::field::<Service<Mailer>>(__services);
            __p::Ok(Self {
                store: __field_0?,
                mailer: __field_1?,
            })
        }
    }
};
