"""What Valkey itself does to keep, find and forget explanations: each script is one step, and nothing comes in between.

Its keys, each beneath `attention:`

    record:ID                     an explanation, encoded; expires by itself
    notes:ID                      what was noted about it, by name; goes with it
    entries:MODEL/VERSION/LABEL   a sorted set of entries, which are all that a list shows of an explanation; one for
                                  each combination of filters, where those that do not filter are empty
    hashes:ID                     the first 8 bytes of the hash of each of its sequences; goes with its entries
    sequences:XX                  a sorted set of such 8 bytes, each with the id of an explanation behind it; one for
                                  each two bytes that hashes begin with: small sets are quick, and a third of the size

An entry is the 16 bytes of the id, then the rest as MessagePack. All members have the score 0, and then Valkey sorts
them by their bytes: entries by id, so by time, and others by hash, then by time.
"""

SHARED = r"""
local function sets(entry)
  local _, model, version, _, labels = unpack(cmsgpack.unpack(string.sub(entry, 17)))
  local names = {}
  labels[#labels + 1] = ''
  for _, label in ipairs(labels) do
    for _, one in ipairs({model .. '/' .. version, model .. '/', '/' .. version, '/'}) do
      names[#names + 1] = KEYS[1] .. 'entries:' .. one .. '/' .. label
    end
  end
  return names
end
local function record(entry) return KEYS[1] .. 'record:' .. string.sub(entry, 1, 16) end
local function entry_of(id, set) return redis.call('ZRANGE', set, '[' .. id, '(' .. id .. '\255', 'BYLEX')[1] end
local function hashes_of(entry) return KEYS[1] .. 'hashes:' .. string.sub(entry, 1, 16) end
local function set_of(hash) return KEYS[1] .. 'sequences:' .. string.sub(hash, 1, 2) end
local function members(entry, hashes)
  local found = {}
  for i = 1, #hashes, 8 do found[#found + 1] = string.sub(hashes, i, i + 7) .. string.sub(entry, 1, 16) end
  return found
end
local function forget(entry)
  for _, set in ipairs(sets(entry)) do redis.call('ZREM', set, entry) end
  local hashes = redis.call('GET', hashes_of(entry)) or ''
  for _, one in ipairs(members(entry, hashes)) do redis.call('ZREM', set_of(one), one) end
  redis.call('UNLINK', KEYS[1] .. 'notes:' .. string.sub(entry, 1, 16), hashes_of(entry))
  return redis.call('UNLINK', record(entry)), #hashes / 8
end
"""
# Arguments: how many are kept, how long in seconds, the least id that is not too old, then entry, record, hashes, ...
# Forgets what is too much or too old; besides as much as comes no more than 1,000, each of which is as much work as 10
# sequences, or all others would wait. With nothing to keep it writes a key of no meaning, since a full Valkey, or a
# replica that only reads, would do all the rest.
KEEP = f"""{SHARED}
local work = 10000
if #ARGV == 3 then redis.call('SET', KEYS[1] .. 'look', '', 'EX', 1) end
for i = 4, #ARGV, 3 do
  local ends = 1000 * (cmsgpack.unpack(string.sub(ARGV[i], 17))[1] + ARGV[2])
  redis.call('SET', record(ARGV[i]), ARGV[i + 1], 'PXAT', string.format('%.0f', ends))
  for _, set in ipairs(sets(ARGV[i])) do redis.call('ZADD', set, 0, ARGV[i]) end
  local hashes = ARGV[i + 2]
  if hashes ~= '' then redis.call('SET', hashes_of(ARGV[i]), hashes) end
  for _, one in ipairs(members(ARGV[i], hashes)) do redis.call('ZADD', set_of(one), 0, one) end
  work = work + 10 + #hashes / 8
end
local all = KEYS[1] .. 'entries://'
local over = math.max(redis.call('ZCARD', all) - ARGV[1], redis.call('ZLEXCOUNT', all, '-', '(' .. ARGV[3]))
while over > 0 and work > 0 do
  local _, hashes = forget(redis.call('ZPOPMIN', all)[1])
  over, work = over - 1, work - 10 - hashes
end
"""
# Arguments: ids. Returns how many explanations there were.
FORGET = f"""{SHARED}
local count = 0
for _, id in ipairs(ARGV) do
  local entry = entry_of(id, KEYS[1] .. 'entries://')
  if entry then count = count + (forget(entry)) end
end
return count
"""
# Arguments: bytes, ids. Returns the records of the first ids, of no more bytes unless it is one; nil for what is gone.
READ = """
local found, size = {}, 0
for i = 2, #ARGV do
  local key = KEYS[1] .. 'record:' .. ARGV[i]
  local more = redis.call('STRLEN', key)
  if size > 0 and size + more > tonumber(ARGV[1]) then break end
  size = size + more
  found[#found + 1] = redis.call('GET', key)
end
return found
"""
# Arguments: the name of a set of entries, a hash, between which members of its set to look, newest first, at how many
# of them, and how many entries to find. Returns the last that was looked at, if there may be more; and the entries.
SEARCH = f"""{SHARED}
local set, hash, most, least, many, missing = unpack(ARGV)
local looked = redis.call('ZRANGE', set_of(hash), most, least, 'BYLEX', 'REV', 'LIMIT', 0, many)
local found = {{}}
for _, member in ipairs(looked) do
  found[#found + 1] = entry_of(string.sub(member, 9), KEYS[1] .. set)
  if #found == tonumber(missing) then return {{member, found}} end
end
return {{#looked == tonumber(many) and looked[#looked], found}}
"""
# Arguments: an id, a name, a note.
NOTE = """
local left = redis.call('PTTL', KEYS[1] .. 'record:' .. ARGV[1])
if left > 0 then
  redis.call('HSET', KEYS[1] .. 'notes:' .. ARGV[1], ARGV[2], ARGV[3])
  redis.call('PEXPIRE', KEYS[1] .. 'notes:' .. ARGV[1], left)
end
"""
