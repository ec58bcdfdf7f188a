//! Redis Streams as a transport: which streams and groups there are, and who connects to them.

mod dead_letter;
mod entry;
mod feed;
mod inbound;
mod lease;
mod names;
mod publish;
mod reader;
mod reply;
mod script;

use std::{sync::Arc, time::Duration};

use redis::{ProtocolVersion, aio::MultiplexedConnection};

use self::{inbound::StreamInbound, names::Names, publish::StreamPublisher};
use super::connect::{ANSWER, Server};
use crate::{
    error::{Error, ErrorKind, Result},
    event::key_of,
    transport::{
        BoxFuture, Capabilities, Inbound, Ordering, Publisher, Transport,
        address::Address,
        record::{DeadMessage, Subscription},
        taken_in,
    },
};

const SHARDS: u16 = 8;
const KEEP: u64 = 3_600;

/// Redis Streams at an address.
#[derive(Debug)]
pub(super) struct Streams {
    server: Arc<Server>,
    names: Names,
    shards: Option<u16>,
    keep: Duration,
    maxlen: Option<u64>,
}

/// What the tasks of a subscription need to know.
struct Setup {
    server: Arc<Server>,
    names: Names,
    subscription: Subscription,
    /// The name under which it owns shards: two ways in of one process are two.
    node: String,
    /// The list of its events, as a number.
    takes: String,
    shards: u16,
    keep: Duration,
}

impl Streams {
    pub(super) fn new(mut address: Address) -> Result<Self> {
        let server = Arc::new(Server::new(&address, ProtocolVersion::RESP2)?);
        let shards = address.option::<u16>("shards")?;
        if shards.is_some_and(|shards| shards == 0 || shards > 256) {
            return Err(Error::new(ErrorKind::Configuration, "the option `shards` must be from 1 to 256"));
        }
        let keep = Duration::from_secs(address.option("keep")?.unwrap_or(KEEP));
        let maxlen = address.option::<u64>("maxlen")?;
        Ok(Self { server, names: Names::new(&address.prefix), shards, keep, maxlen })
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, u16)> {
        let mut connection = self.server.connect(ANSWER).await?;
        let shards = shards(&self.server, &self.names, &mut connection, self.shards).await?;
        Ok((connection, shards))
    }

    fn setup(&self, subscription: &Subscription, shards: u16) -> Setup {
        let takes = format!("{:016x}", key_of("", &subscription.events.join(",")));
        Setup {
            server: self.server.clone(),
            names: self.names.clone(),
            subscription: subscription.clone(),
            node: format!("{}/{:016x}/{takes}", subscription.node, fastrand::u64(..)),
            takes,
            shards,
            keep: self.keep,
        }
    }
}

impl Setup {
    /// The server still has the number of shards that this way in began with.
    async fn check_shards(&self, connection: &mut MultiplexedConnection) -> Result<()> {
        shards(&self.server, &self.names, connection, Some(self.shards)).await.map(|_| ())
    }

    /// From now on this list of events counts: processes that have another one give up their shards.
    async fn announce(&self, connection: &mut MultiplexedConnection) -> Result<()> {
        let mut command = redis::cmd("SET");
        command.arg(self.names.takes(&self.subscription.handler)).arg(&*self.takes);
        let set = command.exec_async(connection).await;
        set.map_err(|error| self.server.failed("subscribing", &error))
    }

    /// Makes the handler's group on every shard that lacks it.
    async fn make_groups(&self, connection: &mut MultiplexedConnection, from_now: bool) -> Result<()> {
        let mut call = script::GROUPS.arg(&*self.subscription.handler);
        call.arg(if from_now { "$" } else { "0" });
        for shard in 0..self.shards {
            call.key(self.names.stream(shard));
        }
        let made = call.invoke_async::<i64>(connection).await;
        made.map(|_| ()).map_err(|error| self.server.failed("making the handler's group", &error))
    }
}

/// The number of shards on the server; all must use the same, or an aggregate would be in two of them.
async fn shards(
    server: &Server,
    names: &Names,
    connection: &mut MultiplexedConnection,
    wanted: Option<u16>,
) -> Result<u16> {
    let key = names.shards();
    let answer = script::SHARDS.key(&key).arg(wanted.unwrap_or(SHARDS)).invoke_async::<String>(connection).await;
    let answer = answer.map_err(|error| server.failed("connecting", &error))?;
    let wrong = |message: String| Error::new(ErrorKind::Configuration, message);
    let Some(shards) = answer.parse::<u16>().ok().filter(|shards| (1..=256).contains(shards)) else {
        return Err(wrong(format!("the key `{key}` at {} holds `{answer}`, not a number of shards", server.shown())));
    };
    match wanted {
        Some(wanted) if wanted != shards => Err(wrong(format!(
            "the address says `shards={wanted}`, but {} was set up with {shards}: leave the option out, or choose another \
             `prefix`, whose streams are new",
            server.shown()
        ))),
        _ => Ok(shards),
    }
}

impl Transport for Streams {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            confirms: true,
            redelivers: true,
            keeps_for_absent: true,
            replays: true,
            outlives_broker: true,
            ordering: Ordering::AcrossProcesses,
            shares: true,
            holds: true,
            counts: true,
            dead_letters: true,
            forgets: true,
            several_processes: true,
            ..Capabilities::none("redis")
        }
    }

    fn address(&self) -> &str {
        self.server.shown()
    }

    fn publisher(&self) -> BoxFuture<'_, Result<Box<dyn Publisher>>> {
        Box::pin(async move {
            let (connection, shards) = self.connect().await?;
            let publisher = StreamPublisher::new(self.server.clone(), connection, &self.names, shards, self.maxlen);
            Ok(Box::new(publisher) as Box<dyn Publisher>)
        })
    }

    fn ensure<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (mut connection, shards) = self.connect().await?;
            let setup = self.setup(subscription, shards);
            setup.make_groups(&mut connection, subscription.from_now).await?;
            setup.announce(&mut connection).await
        })
    }

    fn subscribe<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<Arc<dyn Inbound>>> {
        Box::pin(async move {
            let (_, shards) = self.connect().await?;
            let inbound = StreamInbound::new(self.setup(subscription, shards));
            inbound.begin().await?;
            Ok(Arc::new(inbound) as Arc<dyn Inbound>)
        })
    }

    fn dead_letters<'a>(&'a self, handler: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<DeadMessage>>> {
        Box::pin(async move {
            let (mut connection, _) = self.connect().await?;
            dead_letter::list(&self.server, &mut connection, &self.names, handler, limit).await
        })
    }

    fn redrive<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let (mut connection, shards) = self.connect().await?;
            dead_letter::redrive(&self.server, &mut connection, &self.names, shards, handler, id).await
        })
    }

    fn discard<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let (mut connection, _) = self.connect().await?;
            dead_letter::discard(&self.server, &mut connection, &self.names, handler, id).await
        })
    }

    fn forget<'a>(&'a self, handler: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let (mut connection, shards) = self.connect().await?;
            let names = &self.names;
            let own = [names.nodes(handler), names.owners(handler), names.takes(handler), names.dead(handler)];
            let mut call = script::FORGET.arg(handler);
            call.arg(own.len());
            for key in own.into_iter().chain((0..shards).map(|shard| names.stream(shard))) {
                call.key(key);
            }
            let forgotten = call.invoke_async::<(i64, String)>(&mut connection).await;
            let (found, alive) = forgotten.map_err(|error| self.server.failed("forgetting a handler", &error))?;
            match alive.split('/').next() {
                None | Some("") => Ok(found > 0),
                Some(node) => Err(taken_in(handler, self.server.shown(), &format!("the process `{node}`"))),
            }
        })
    }
}
