"""The scripts of the shared table of sends. Each begins with the lease: its name, its secret, its milliseconds.

They answer `ok` and what was asked for, or do nothing and answer `unready` (Redis may have lost data) or `lost`.
"""

from __future__ import annotations

from transforms.stores.redis import Script

_UNDER_LEASE = """
local epoch, nonce, ttl = take(), take(), take()
if not ready() then return {'unready'} end
if redis.call('GET', P .. 'lease/' .. epoch) ~= nonce then return {'lost'} end
"""
_WRITING = (
    _UNDER_LEASE
    + """
redis.call('SET', P .. 'lease/' .. epoch, nonce, 'PX', ttl)
local function add(name, count) redis.call('HINCRBY', P .. 'counts', name, count) end
"""
)
"""A full Redis refuses a script at its first write, if that may need memory, and lets it pass if that may not: so the
first one here is a SET, and nothing is done by half."""

_TAKING_OVER = _UNDER_LEASE + "redis.call('PEXPIRE', P .. 'lease/' .. epoch, ttl)\n"
"""Needs no memory: a lease is renewed also in a full Redis."""

CLAIM = Script(
    _WRITING
    + """
local keep, done = take(), {'ok'}
while at < #ARGV do
  local key, old, new, life, holder, state, id, receipt = take(), take(), take(), take(), take(), take(), take(), take()
  local same = (redis.call('GET', P .. 'send/' .. key) or '') == old
  if same and life ~= '' then same = (redis.call('GET', P .. 'life/' .. life) or '') == holder end
  done[#done + 1] = same and 1 or 0
  if same then
    add('taken', 1)
    if state == '' then
      redis.call('SET', P .. 'send/' .. key, new)
      redis.call('SADD', P .. 'open/' .. epoch, key)
      if life ~= '' then redis.call('SET', P .. 'life/' .. life, key) end
    else
      redis.call('SET', P .. 'send/' .. key, new, 'PX', keep)
      redis.call('HSET', P .. 'receipts/' .. epoch, id, receipt)
      add(state, 1)
    end
  end
end
return done
"""
)
"""For each claim 1 if it was made, 0 if a row that it was decided on is not what it was."""

COMMIT = Script(
    _WRITING
    + """
local last, keep, reader, place = number(), take(), take(), take()
local function counts()
  local found = redis.call('HGETALL', P .. 'counts')
  table.insert(found, 1, 'ok')
  return found
end
if last <= tonumber(redis.call('GET', P .. 'commit/' .. epoch) or '0') then return counts() end
local rows = {}
for i = 1, number() do
  rows[i] = {take(), take(), take(), take()}
  local found = redis.call('GET', P .. 'send/' .. rows[i][1])
  if found and string.sub(found, 1, 16) ~= epoch then return {'lost'} end
end
redis.call('SET', P .. 'commit/' .. epoch, last)
for _, row in ipairs(rows) do
  local key, new, state, life = row[1], row[2], row[3], row[4]
  if state == '' then
    redis.call('SET', P .. 'send/' .. key, new)
    redis.call('SADD', P .. 'open/' .. epoch, key)
  else
    redis.call('SET', P .. 'send/' .. key, new, 'PX', keep)
    redis.call('SREM', P .. 'open/' .. epoch, key)
  end
  if life ~= '' and redis.call('GET', P .. 'life/' .. life) == key then redis.call('DEL', P .. 'life/' .. life) end
end
for _ = 1, number() do redis.call('SET', P .. 'mark/' .. take(), take()) end
for _ = 1, number() do redis.call('HSET', P .. 'receipts/' .. epoch, take(), take()) end
for _ = 1, number() do add(take(), take()) end
redis.call('SET', P .. 'place/' .. reader, place)
return counts()
"""
)
"""The counts after the commit; one with a number that was done before changes nothing."""

ADOPT = Script(
    _TAKING_OVER
    + """
local most, found = number(), {}
local mine, receipts = P .. 'open/' .. epoch, P .. 'receipts/' .. epoch
for _, other in ipairs(redis.call('SMEMBERS', P .. 'senders')) do
  if redis.call('EXISTS', P .. 'lease/' .. other) == 0 then
    local theirs = P .. 'open/' .. other
    for _, key in ipairs(redis.call('SRANDMEMBER', theirs, most)) do
      local row = redis.call('GET', P .. 'send/' .. key)
      if row and string.sub(row, 1, 16) == other then
        redis.call('SET', P .. 'send/' .. key, epoch .. string.sub(row, 17))
        redis.call('SADD', mine, key)
        found[#found + 1] = key
        found[#found + 1] = string.sub(row, 17)
      end
      redis.call('SREM', theirs, key)
      most = most - 1
    end
    local told = redis.call('HGETALL', P .. 'receipts/' .. other)
    for i = 1, #told, 2 do redis.call('HSET', receipts, told[i], told[i + 1]) end
    redis.call('DEL', P .. 'receipts/' .. other)
    if redis.call('EXISTS', theirs) == 0 then
      redis.call('SREM', P .. 'senders', other)
      redis.call('DEL', P .. 'commit/' .. other)
    end
  end
  if most <= 0 then break end
end
table.insert(found, 1, redis.call('SCARD', mine))
table.insert(found, 1, 'ok')
return found
"""
)
"""How many open sends this lease has now, then key and row of each that it took over."""

OWN = Script(
    _TAKING_OVER
    + """
local found = {'ok'}
for _, key in ipairs(redis.call('SMEMBERS', P .. 'open/' .. epoch)) do
  local row = redis.call('GET', P .. 'send/' .. key)
  if row then
    found[#found + 1] = key
    found[#found + 1] = string.sub(row, 17)
  end
end
return found
"""
)
"""Key and row of every open send of this lease."""
