create table if not exists curators (
    id        text primary key,
    name      text not null,
    is_public integer not null
) strict;

create table if not exists followers (
    curator_id  text not null references curators (id),
    follower_id text not null references curators (id),
    primary key (curator_id, follower_id)
) strict, without rowid;
