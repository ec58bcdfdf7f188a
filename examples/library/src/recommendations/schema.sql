create table if not exists taste (
    card_id    text not null,
    curator_id text not null,
    primary key (card_id, curator_id)
);

create index if not exists taste_curator on taste (curator_id);

create table if not exists suggestions (
    curator_id text not null,
    card_id    text not null,
    reason     text not null,
    primary key (curator_id, card_id)
);
