use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}


#[event_handler(CardAdded)]
async fn nothing(_: &CardAdded) {}

#[event_handler(CardAdded)]
async fn unit(_: &CardAdded) -> () {}

#[event_handler(CardAdded)]
async fn text(_: &CardAdded) -> Result<(), String> {
    Ok(())
}

#[event_handler(CardAdded)]
async fn slice(_: &CardAdded) -> Result<(), &'static str> {
    Ok(())
}

#[event_handler(CardAdded)]
async fn io(_: &CardAdded) -> std::io::Result<()> {
    Ok(())
}

#[event_handler(CardAdded)]
async fn boxed(_: &CardAdded) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(())
}

#[event_handler(CardAdded)]
async fn own(_: &CardAdded) -> Result<(), HandlerError> {
    Ok(())
}

#[event_handler(CardAdded)]
async fn opaque(_: &CardAdded) -> Result<(), impl std::error::Error + Send + Sync + use<>> {
    std::io::Result::Ok(())
}

struct Index;

impl Index {
    const ERROR: () = ();
}

type Refused = std::fmt::Error;

#[derive(FromServices)]
struct Mail;

#[event_handler(CardAdded)]
impl Mail {
    async fn handle(&self, _: &CardAdded) -> Result<(), Refused> {
        let _ = Index::ERROR;
        Ok(())
    }
}

fn main() {}
