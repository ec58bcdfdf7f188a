use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


/// A type nobody can serialize.
struct Opaque(u8);

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
    opaque: Opaque,
}

impl serde::Serialize for CardAdded {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(self.opaque.0)
    }
}

impl<'de> serde::Deserialize<'de> for CardAdded {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u8::deserialize(from).map(|opaque| CardAdded { card_id: "own".into(), opaque: Opaque(opaque) })
    }
}

fn main() {
    let event = CardAdded { card_id: "1".into(), opaque: Opaque(7) };
    assert_eq!(event.encode().unwrap(), b"7");
    assert_eq!(CardAdded::decode(b"8").unwrap().card_id, "own");
}
