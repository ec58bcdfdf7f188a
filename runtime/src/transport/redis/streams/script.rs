//! What must happen on the server in one step, as Lua: whoever calls a script finds all of it done, or nothing.

use std::sync::LazyLock;

use redis::Script;

/// The number of shards, set by the first who asks. `KEYS`: the number. `ARGV`: what to set it to.
pub(super) static SHARDS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('SET', KEYS[1], ARGV[1], 'NX')
         return redis.call('GET', KEYS[1])",
    )
});

/// Makes a handler's groups. `KEYS`: the streams. `ARGV`: the group, where it begins.
pub(super) static GROUPS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "for _, stream in ipairs(KEYS) do
           local made = redis.pcall('XGROUP', 'CREATE', stream, ARGV[1], ARGV[2], 'MKSTREAM')
           if type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
             return made
           end
         end
         return #KEYS",
    )
});

/// A node's sign of life, and which shards it owns from now on. `KEYS`: nodes, owners, the list of events that counts.
/// `ARGV`: the node (its name ends with its list), for how many milliseconds it counts as alive, the number of shards, among
/// how many nodes they may be spread, the id of the node's reading connection, its list, then the shards it gives back.
/// Returns: the shards it owns, how many of them too many, the connections of former owners that must not read any more, and
/// how many it still hopes for.
///
/// Every node has its share by its rank among the names of those alive, so that all shares together are all shards. One
/// whose list of events is not the one that counts has no share, as long as there is another that has it: it would skip
/// what the others take.
pub(super) static TEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local clock = redis.call('TIME')
         local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
         local me, shards, most, reader = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
         redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
         redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), me)
         local all, list, current = redis.call('ZRANGE', KEYS[1], 0, -1), ARGV[6], redis.call('GET', KEYS[3])
         local alive, nodes, of_current, of_mine = {}, {}, {}, {}
         for _, node in ipairs(all) do
           alive[node] = true
           local its = string.sub(node, -#list)
           if its == current then table.insert(of_current, node) end
           if its == list then table.insert(of_mine, node) end
         end
         local away = current ~= list and #of_current > 0
         if not away then
           nodes = of_mine
           if current ~= list then redis.call('SET', KEYS[3], list) end
         end
         table.sort(nodes)
         local rank = 0
         for index, node in ipairs(nodes) do
           if node == me then rank = index - 1 end
         end
         local sharing = math.min(#nodes, most)
         local share = 0
         if not away and rank < sharing then
           share = math.floor(shards / sharing)
           if rank < shards % sharing then share = share + 1 end
         end
         local owner, connection = {}, {}
         local kept = redis.call('HGETALL', KEYS[2])
         for index = 1, #kept, 2 do
           local id, node = string.match(kept[index + 1], '^(%d+) (.*)$')
           owner[kept[index]], connection[kept[index]] = node, id
         end
         for index = 7, #ARGV do
           if owner[ARGV[index]] == me then
             redis.call('HDEL', KEYS[2], ARGV[index])
             owner[ARGV[index]], connection[ARGV[index]] = nil, nil
           end
         end
         local mine, cut = {}, {}
         for number = 0, shards - 1 do
           local shard = tostring(number)
           if owner[shard] == me then
             if connection[shard] ~= reader then
               table.insert(cut, connection[shard])
               redis.call('HSET', KEYS[2], shard, reader .. ' ' .. me)
             end
             table.insert(mine, number)
           end
         end
         for number = 0, shards - 1 do
           local shard = tostring(number)
           if #mine < share and owner[shard] ~= me and not alive[owner[shard] or ''] then
             if connection[shard] then table.insert(cut, connection[shard]) end
             redis.call('HSET', KEYS[2], shard, reader .. ' ' .. me)
             table.insert(mine, number)
           end
         end
         return {mine, math.max(#mine - share, 0), cut, math.max(share - #mine, 0)}",
    )
});

/// Settles entries of events that the handler does not take. `KEYS`: the stream, the list of events that counts. `ARGV`: the
/// node's list, the group, the entries. Nothing happens if another list counts now: then they are for another node to judge.
pub(super) static SKIP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local current = redis.call('GET', KEYS[2])
         if current and current ~= ARGV[1] then return 0 end
         return redis.call('XACK', KEYS[1], ARGV[2], unpack(ARGV, 3))",
    )
});

/// Gives back all shards of a node. `KEYS`: nodes, owners. `ARGV`: the node.
pub(super) static LEAVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('ZREM', KEYS[1], ARGV[1])
         local kept = redis.call('HGETALL', KEYS[2])
         for index = 1, #kept, 2 do
           if string.match(kept[index + 1], '^%d+ (.*)$') == ARGV[1] then redis.call('HDEL', KEYS[2], kept[index]) end
         end
         return 1",
    )
});

/// Forgets a handler. `KEYS`: nodes, then all other keys of its own, and the streams behind `ARGV[2]` keys. `ARGV`: the group,
/// how many keys are its own. Returns: how much there was, and a node that lives, if that is why nothing was done.
pub(super) static FORGET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local clock = redis.call('TIME')
         local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
         redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
         local alive = redis.call('ZRANGE', KEYS[1], 0, 0)
         if #alive > 0 then return {0, alive[1]} end
         local own, found = tonumber(ARGV[2]), 0
         for index = 1, own do found = found + redis.call('DEL', KEYS[index]) end
         for index = own + 1, #KEYS do
           local gone = redis.pcall('XGROUP', 'DESTROY', KEYS[index], ARGV[1])
           if type(gone) == 'number' then found = found + gone end
         end
         return {found, ''}",
    )
});

/// Makes a pending entry a dead letter. `KEYS`: stream, dead letters. `ARGV`: the group, the entry, the dead letter's
/// fields. Nothing happens to an entry that is settled already: two who held it leave one dead letter.
pub(super) static BURY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then return 0 end
         redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3))
         redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
         return 1",
    )
});

/// Makes a dead letter an entry again. `KEYS`: dead letters, stream. `ARGV`: the dead letter, the entry's fields.
pub(super) static REDRIVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
         redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
         return redis.call('XDEL', KEYS[1], ARGV[1])",
    )
});

/// Removes entries that every group is done with, down to those of the last `ARGV[1]` milliseconds. `KEYS`: the stream. In
/// bounded steps.
pub(super) static TRIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local clock = redis.call('TIME')
         local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
         local low, low_seq = now - tonumber(ARGV[1]), 0
         local groups = redis.call('XINFO', 'GROUPS', KEYS[1])
         if #groups == 0 then return 0 end
         for _, group in ipairs(groups) do
           local about = {}
           for index = 1, #group, 2 do about[group[index]] = group[index + 1] end
           local id = about['last-delivered-id']
           if about['pending'] > 0 then id = redis.call('XPENDING', KEYS[1], about['name'])[2] end
           local at, seq = string.match(id, '^(%d+)-(%d+)$')
           at, seq = tonumber(at), tonumber(seq)
           if at < low or (at == low and seq < low_seq) then low, low_seq = at, seq end
         end
         if low <= 0 then return 0 end
         local id = string.format('%.0f-%.0f', low, low_seq)
         return redis.call('XTRIM', KEYS[1], 'MINID', '~', id, 'LIMIT', 100000)",
    )
});
