create table if not exists feed_stories (
    reader text not null,
    key    text not null,
    text   text not null,
    at     timestamptz not null,
    primary key (reader, key)
);

create index if not exists feed_stories_key on feed_stories (key);
