create table if not exists activity (
    curator_id          text not null primary key,
    cards_added         bigint not null default 0,
    cards_removed       bigint not null default 0,
    collections_created bigint not null default 0,
    last_active_at      timestamptz
);
