create table if not exists activity (
    curator_id          text primary key,
    cards_added         integer not null default 0,
    cards_removed       integer not null default 0,
    collections_created integer not null default 0,
    last_active_at      text
) strict;
