create table if not exists notifications (
    event_id  text not null,
    recipient text not null,
    text      text not null,
    primary key (event_id, recipient)
);
