create table if not exists search_entries (
    card_id    text not null,
    curator_id text not null,
    url        text not null,
    primary key (card_id, curator_id)
);
