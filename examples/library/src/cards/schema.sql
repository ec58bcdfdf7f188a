create table if not exists cards (
    id        text not null primary key,
    card_type text not null,
    url       text unique,
    version   bigint not null
);

create table if not exists card_libraries (
    card_id    text not null references cards (id),
    curator_id text not null,
    primary key (card_id, curator_id)
);

create table if not exists collections (
    id         text not null primary key,
    curator_id text not null,
    name       text not null,
    version    bigint not null,
    unique (curator_id, name)
);

create table if not exists collection_cards (
    collection_id text not null references collections (id),
    card_id       text not null references cards (id),
    primary key (collection_id, card_id)
);
