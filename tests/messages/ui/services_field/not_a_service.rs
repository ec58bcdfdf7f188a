use domain_events::prelude::*;

trait Mailer: Send + Sync {}

#[derive(FromServices)]
struct Notify {
    mailer: Service<dyn Mailer>,
    retries: u32,
    other: std::sync::Arc<dyn Mailer>,
}

fn main() {}
