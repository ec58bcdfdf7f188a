-- Version 1 of the tables of domain-events on SQLite.
--
-- Ids are UUIDs as text (36 characters). Times that people read are RFC 3339 text in UTC, always with nine decimals
-- and a 'Z' ('2026-01-31T12:00:00.123456789Z'), so that they sort as text and lose nothing. Times that only statements
-- compare (leases, heartbeats) are milliseconds since 1970, from this database's own clock.

-- Every committed event: outbox, audit trail and event store in one. Rows are inserted and, by retention, deleted;
-- never changed. There is one writer at a time and AUTOINCREMENT never gives a number twice, so the order of `position`
-- is the order of the commits, and `position > last` skips nothing.
CREATE TABLE event_log (
    position          INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT    NOT NULL UNIQUE,
    aggregate_type    TEXT    NOT NULL,
    aggregate_id      TEXT    NOT NULL,
    aggregate_version INTEGER,                  -- after this event; null where the aggregate has no version
    event_name        TEXT    NOT NULL,
    event_version     INTEGER NOT NULL,
    occurred_at       TEXT    NOT NULL,
    recorded_at       TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000000Z', 'now')),
    correlation_id    TEXT,
    causation_id      TEXT,
    trace             TEXT,                     -- W3C traceparent
    payload           ANY     NOT NULL          -- JSON text; what another program put here is handed on as it is
) STRICT;

-- Two writers can't both give an aggregate its next version; also reads one aggregate's events in order.
CREATE UNIQUE INDEX event_log_stream
    ON event_log (aggregate_type, aggregate_id, aggregate_version)
    WHERE aggregate_version IS NOT NULL;

-- The last version of aggregates whose last events retention has removed.
CREATE TABLE event_stream (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT, WITHOUT ROWID;

-- How far each handler has come, and who may move it: position and lease in one row, so that one UPDATE judges both.
CREATE TABLE event_subscription (
    handler        TEXT    NOT NULL,
    partition      INTEGER NOT NULL,
    position       INTEGER NOT NULL,            -- of the last event that is done
    owner          TEXT,                        -- the node that holds the lease; null after it was given back
    fence          INTEGER NOT NULL DEFAULT 0,  -- grows with every claim
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    crashes        INTEGER NOT NULL DEFAULT 0,  -- leases that ran out since the last calm checkpoint
    paused         INTEGER NOT NULL DEFAULT 0,
    revision       INTEGER NOT NULL DEFAULT 0,  -- grows when a person pauses, resumes, redrives or discards
    PRIMARY KEY (handler, partition)
) STRICT, WITHOUT ROWID;

-- Deliveries the position has moved past though they are not done: failed ones, and later ones of the same aggregate.
CREATE TABLE event_retry (
    handler        TEXT    NOT NULL,
    position       INTEGER NOT NULL,
    event_id       TEXT    NOT NULL,
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    state          TEXT    NOT NULL,            -- waiting, retrying, running, dead
    attempts       INTEGER NOT NULL,
    next_at        TEXT    NOT NULL,
    error          TEXT,
    PRIMARY KEY (handler, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_retry_position ON event_retry (position);

-- Deliveries given up on, with a copy of the event.
CREATE TABLE event_dead_letter (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT    NOT NULL UNIQUE,
    handler           TEXT    NOT NULL,
    position          INTEGER NOT NULL,
    attempts          INTEGER NOT NULL,
    reason            TEXT    NOT NULL,
    error             TEXT    NOT NULL,
    dead_at           TEXT    NOT NULL,
    event_id          TEXT    NOT NULL,
    aggregate_type    TEXT    NOT NULL,
    aggregate_id      TEXT    NOT NULL,
    aggregate_version INTEGER,
    event_name        TEXT    NOT NULL,
    event_version     INTEGER NOT NULL,
    occurred_at       TEXT    NOT NULL,
    recorded_at       TEXT,
    correlation_id    TEXT,
    causation_id      TEXT,
    trace             TEXT,
    payload           ANY     NOT NULL,
    UNIQUE (handler, position)
) STRICT;

CREATE INDEX event_dead_letter_newest   ON event_dead_letter (dead_at, seq);
CREATE INDEX event_dead_letter_position ON event_dead_letter (position);

-- Events that a handler is to handle once: marked before (done = 0), or in the transaction of, its handling (done = 1).
CREATE TABLE event_inbox (
    handler  TEXT    NOT NULL,
    event_id TEXT    NOT NULL,
    position INTEGER NOT NULL,
    done     INTEGER NOT NULL,
    PRIMARY KEY (handler, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_inbox_position ON event_inbox (handler, position);

-- Events that a handler has had from a broker: begun, by one that runs `once` or under suspicion (done = 0), or handled
-- (done = 1).
CREATE TABLE event_received (
    handler  TEXT    NOT NULL,
    event_id TEXT    NOT NULL,
    done     INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,        -- begun under suspicion of taking the process down
    noted_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000000Z', 'now')),
    PRIMARY KEY (handler, event_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX event_received_noted_at ON event_received (noted_at);

-- The processes at work.
CREATE TABLE event_node (
    id       TEXT    PRIMARY KEY,
    handlers TEXT    NOT NULL,                  -- a JSON array of names
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE event_meta (
    key   TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO event_meta (key, value) VALUES
    ('schema_version', 1),
    ('revision',       0),                      -- grows with every action of a person
    ('trimmed_to',     0);                      -- the greatest position that retention has removed

-- To look at, not to write to: an event is processed when every subscription is past it and nothing about it is parked
-- or dead.
CREATE VIEW event_store AS
SELECT e.id,
       e.aggregate_id,
       e.event_name                     AS event_type,
       e.payload                        AS event_data,
       coalesce(e.aggregate_version, 1) AS version,
       e.occurred_at                    AS timestamp,
       coalesce(e.position <= (SELECT min(s.position) FROM event_subscription s), 0)
           AND NOT EXISTS (SELECT 1 FROM event_retry r       WHERE r.position = e.position)
           AND NOT EXISTS (SELECT 1 FROM event_dead_letter d WHERE d.position = e.position)
                                        AS processed,
       e.recorded_at                    AS created_at
  FROM event_log e;
