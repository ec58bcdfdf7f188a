use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


#[derive(Debug, PartialEq, DomainEvent)]
#[event(aggregate = Card)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CardAdded {
    #[event(aggregate_id)]
    #[serde(rename = "id")]
    card_id: String,
    #[serde(default)]
    number_of_likes: u32,
    #[serde(skip)]
    cache: Cache,
    #[serde(with = "hex")]
    color: Color,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Debug, PartialEq, Default)]
struct Cache;

#[derive(Debug, PartialEq)]
struct Color(u8);

mod hex {
    use super::Color;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(color: &Color, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{:x}", color.0))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Color, D::Error> {
        let text = String::deserialize(from)?;
        u8::from_str_radix(&text, 16).map(Color).map_err(serde::de::Error::custom)
    }
}

fn main() {
    let event = CardAdded::decode(br#"{"id":"1","color":"ff"}"#).unwrap();
    assert_eq!(event.number_of_likes, 0);
    assert_eq!(event.encode().unwrap(), br#"{"id":"1","numberOfLikes":0,"color":"ff"}"#);
    assert!(CardAdded::decode(br#"{"id":"1","color":"ff","more":1}"#).is_err());
}
