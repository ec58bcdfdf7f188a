//! Redis by hand: one stream; transactions of 256 entries; a group's batches of 256, acknowledged with one command each.

use domain_events::{testkit::server::RedisServer, transport::record::Outgoing};
use redis::aio::MultiplexedConnection;

use crate::broker::{BATCH, Broker, Seen};

pub struct Redis(RedisServer);

/// Entries as the server tells of them: id, then names and values in turn.
type Entries = Vec<(String, Vec<Vec<u8>>)>;

impl Redis {
    pub async fn start() -> Self {
        Self(RedisServer::with(&["--auto-aof-rewrite-percentage", "0"]))
    }
}

async fn connection(server: &RedisServer) -> MultiplexedConnection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", server.port())).expect("an address");
    client.get_multiplexed_async_connection().await.expect("a connection")
}

async fn length(server: &RedisServer, stream: &str) -> usize {
    redis::cmd("XLEN").arg(stream).query_async(&mut connection(server).await).await.expect("a length")
}

/// How much the transport's streams under a prefix hold.
pub async fn stored(server: &RedisServer, prefix: &str) -> usize {
    let mut all = 0;
    for shard in 0..8 {
        all += length(server, &format!("{prefix}:stream:{shard}")).await;
    }
    all
}

impl Broker for Redis {
    const NAME: &'static str = "redis";
    const RAW: &'static str = "redis, 256 a transaction, 256 a batch:";

    fn url(&self, prefix: &str) -> String {
        self.0.url(prefix)
    }

    async fn prepare(&self, name: &str) {
        let mut command = redis::cmd("XGROUP");
        command.arg("CREATE").arg(name).arg("group").arg("0").arg("MKSTREAM");
        command.exec_async(&mut connection(&self.0).await).await.expect("a group");
    }

    async fn publish(&self, name: &str, messages: &[Outgoing]) {
        let mut connection = connection(&self.0).await;
        for batch in messages.chunks(BATCH) {
            let mut transaction = redis::pipe();
            transaction.atomic();
            for message in batch {
                let entry = transaction.cmd("XADD").arg(name).arg("*").arg("event").arg(&message.event);
                entry.arg("cloudevent").arg(message.content.body());
            }
            let ids: Vec<String> = transaction.query_async(&mut connection).await.expect("entries");
            assert_eq!(ids.len(), batch.len());
        }
    }

    async fn take(&self, name: &str, seen: &mut Seen, count: usize) {
        let mut connection = connection(&self.0).await;
        while seen.count < count {
            let mut read = redis::cmd("XREADGROUP");
            read.arg("GROUP").arg("group").arg("me").arg("COUNT").arg(BATCH).arg("STREAMS").arg(name).arg(">");
            let streams: Vec<(String, Entries)> = read.query_async(&mut connection).await.expect("entries");
            let mut done = redis::cmd("XACK");
            done.arg(name).arg("group");
            for (id, fields) in streams.iter().flat_map(|(_, entries)| entries) {
                seen.read(&fields[3]);
                done.arg(id);
            }
            done.exec_async(&mut connection).await.expect("an acknowledgement");
        }
    }

    async fn stored(&self, name: &str) -> usize {
        length(&self.0, name).await
    }

    async fn stored_by_transport(&self, prefix: &str) -> usize {
        stored(&self.0, prefix).await
    }
}
