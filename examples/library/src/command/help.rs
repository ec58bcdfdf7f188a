//! The text of `library --help`.

pub(super) const HELP: &str = "\
A library of web cards: the example application of domain-events.

Usage: library [web | worker | drain | demo] [options]

  (nothing)   serve the HTTP API and run all handlers, in one process
  web         serve the HTTP API only; with a transport, publish its events there
  worker      run handlers only
  drain       handle what is in the database's log, then stop: before events go another way
  demo        play every scenario on a fresh database and check the outcome; what is there already is left alone

Options:
  --listen ADDRESS    where to serve HTTP (default: 127.0.0.1:8080); for a worker on a transport: where to serve what
                      its handlers keep (default: nowhere)
  --database PATH     a SQLite file, made if it is missing (default: DATABASE_URL, or else library.db, and worker.db for
                      a worker on a transport)
  --memory            a database that is gone afterwards
  --group NAME        run the handlers of this group; can be given several times (default: all groups)
                      analytics, feeds, notifications, recommendations, search
  -h, --help          this text
  -V, --version       the version

Environment:
  DATABASE_URL        the database: postgres://user:password@host/database (PostgreSQL 13 or newer), for any number
                      of processes on any number of machines, or sqlite://path/to/file.db. The tables are made if they
                      are missing. `demo` plays in a schema of its own there, which it drops at the end.
  EVENTS_TRANSPORT    the broker that carries events from web to workers, each with a database of its own:
                      redis://host, redis+pubsub://host, nats://host, amqp://host, kafka://host (if compiled in).
                      Without it, web and workers share one database.
  LIBRARY_WEB         with a transport, for workers: where the web process serves, http://host:port
  LIBRARY_WORKERS     with a transport, for web: where workers listen, http://host:port, several with commas between
                      them. It asks them for what their handlers keep: feeds, notifications, search, ...
  RUST_LOG            what is logged, to stderr: info (the default), domain_events=debug, ...";
