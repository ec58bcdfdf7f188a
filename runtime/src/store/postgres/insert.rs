//! The statements that write events: each for any number of them in one round trip, and none does more than it must.
//! What they have in common with one another stands here once.

/// The columns that an append fills.
macro_rules! columns {
    () => {
        "INSERT INTO @.event_log
                (id, aggregate_type, aggregate_id, aggregate_version, event_name, event_version, occurred_at,
                 correlation_id, causation_id, trace, payload)"
    };
}

/// Many events, in their order: a scan of a function's rows, which is what `unnest` in FROM is, keeps it, and nothing here
/// gives the server a reason for another plan. Asking for it would make it sort them, a tenth of an insert's cost.
///
/// Events that are appended together have much in common: what is the same in all of them comes once (from `$12` on), and
/// its array is empty, for which `unnest` gives null. The server builds a table of every array that is not.
macro_rules! events {
    () => {
        concat!(
            columns!(),
            " SELECT e.id, coalesce($12, e.aggregate_type), coalesce($13, e.aggregate_id),
                     coalesce($14, e.aggregate_version), coalesce($15, e.event_name), coalesce($16, e.event_version),
                     e.occurred_at, coalesce($17, e.correlation_id), coalesce($18, e.causation_id),
                     coalesce($19, e.trace), e.payload::json
                FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[],
                            $7::timestamptz[], $8::uuid[], $9::uuid[], $10::text[], $11::text[])
                  AS e (id, aggregate_type, aggregate_id, aggregate_version, event_name, event_version, occurred_at,
                        correlation_id, causation_id, trace, payload)"
        )
    };
}

/// The last version of the aggregate in `a`.
macro_rules! last_version {
    () => {
        "greatest(coalesce((SELECT max(l.aggregate_version)
                              FROM @.event_log l
                             WHERE l.aggregate_type = a.type AND l.aggregate_id = a.id
                               AND l.aggregate_version IS NOT NULL), 0),
                  coalesce((SELECT s.version
                              FROM @.event_stream s
                             WHERE s.aggregate_type = a.type AND s.aggregate_id = a.id), 0))"
    };
}

/// One event of an aggregate without versions: for the server, half the work of one in arrays that guards versions.
pub(super) const ONE: &str = concat!(columns!(), " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::json)");

/// Many of aggregates without versions.
pub(super) const UNGUARDED: &str = events!();

/// Writes all events, or none where one aggregate is not at the version before its first event: that is a conflict, and
/// the application's transaction is still whole.
pub(super) const GUARDED: &str = concat!(
    events!(),
    " WHERE NOT EXISTS (SELECT 1
                          FROM unnest($20::text[], $21::text[], $22::bigint[]) AS a (type, id, expected)
                         WHERE a.expected <> ",
    last_version!(),
    ")"
);

/// The same on a log with partitions, where no index on all of them guards versions: the aggregates' rows in
/// `event_stream` do. They are locked and judged before the events draw their positions, so that of two writers of one
/// aggregate the second one also has the later positions. (A first event has no row to lock: there the second writer
/// fails at the primary key.)
pub(super) const GUARDED_BY_STREAM: &str = concat!(
    "
    WITH head AS MATERIALIZED (
        SELECT a.*, (SELECT s.version
                       FROM @.event_stream s
                      WHERE s.aggregate_type = a.type AND s.aggregate_id = a.id
                        FOR NO KEY UPDATE) AS version
          FROM (SELECT *
                  FROM unnest($20::text[], $21::text[], $22::bigint[], $23::bigint[]) AS a (type, id, expected, last)
                 ORDER BY type, id) a
    ), turn AS MATERIALIZED (
        SELECT NOT EXISTS (SELECT 1 FROM head WHERE coalesce(version, 0) <> expected) AS ours
    ), begun AS (
        INSERT INTO @.event_stream (aggregate_type, aggregate_id, version)
        SELECT type, id, last FROM head, turn WHERE ours AND expected = 0 ORDER BY type, id
    ), moved AS (
        INSERT INTO @.event_stream (aggregate_type, aggregate_id, version)
        SELECT type, id, last FROM head, turn WHERE ours AND expected <> 0
            ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET version = excluded.version
    )
    ",
    events!(),
    " WHERE (SELECT ours FROM turn)"
);

pub(super) const LAST_VERSIONS: &str = concat!(
    "SELECT ",
    last_version!(),
    " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS a (type, id, place) ORDER BY a.place"
);
