create table if not exists curators (
    id        text not null primary key,
    name      text not null,
    is_public boolean not null
);

create table if not exists followers (
    curator_id  text not null references curators (id),
    follower_id text not null references curators (id),
    primary key (curator_id, follower_id)
);
