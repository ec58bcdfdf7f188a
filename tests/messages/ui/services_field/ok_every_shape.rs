use domain_events::prelude::*;


trait Mailer: Send + Sync {}

#[derive(FromServices)]
struct Named {
    mailer: Service<dyn Mailer>,
    number: Service<u8>,
}

#[derive(FromServices)]
struct Tuple(Service<dyn Mailer>, Service<u8>);

#[derive(FromServices)]
struct Unit;

#[derive(FromServices)]
struct Generic<M: ?Sized + Send + Sync + 'static> {
    mailer: Service<M>,
}

fn is<T: FromServices>() {}

fn main() {
    is::<Named>();
    is::<Tuple>();
    is::<Unit>();
    is::<Generic<dyn Mailer>>();
    let _ = |named: Named, tuple: Tuple, generic: Generic<u8>| (named.mailer, named.number, tuple.0, tuple.1, generic.mailer);
}
