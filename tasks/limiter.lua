-- One bucket: an account's requests at its CRM, or those of one outgoing address.
-- KEYS[1]  the bucket (JSON text); with "born" the mark of this data set's age
-- ARGV     1 what to do: born, ask, tell, look   2 now (ms; 0 is the server's clock)
--          3 the limits (JSON)                   4.. as said below
-- Times are ms since 1970. Nothing here blocks: the answer is "go" or "wait n ms".
local op, now = ARGV[1], tonumber(ARGV[2])
if now == 0 then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end

-- born: since when this Redis remembers. A bucket that is absent in an old data set is
-- idle or new; in a young one it may have been full when the data were lost.
if op == 'born' then
  local born = tonumber(redis.call('GET', KEYS[1]))
  if not born or born > now then
    born = now
    redis.call('SET', KEYS[1], born)
  end
  return born
end

local limits = cjson.decode(ARGV[3])
local windowed, leaky = limits.count > 0, limits.capacity > 0

-- load reads the bucket and lets time pass over it. Without a bucket it is as full as a
-- loss at the time lost can have left it.
local function load(lost)
  local raw = redis.call('GET', KEYS[1])
  local b = raw and cjson.decode(raw)
  if not b then
    b = {level = limits.lost, at = lost, log = {}, pause = 0, block = 0, hold = 0,
         strikes = 0, calm = 0, person = 0, probe = false, ops = {}}
    for i = 1, limits.count do b.log[i] = lost end
  end
  -- min: a clock that was set back must not freeze the bucket
  b.level = math.max(0, b.level - (now - math.min(b.at, now)) * limits.drain / 1000)
  b.at = now
  local log = {}
  for _, t in ipairs(b.log) do
    t = math.min(t, now)
    if t + limits.window > now then log[#log + 1] = t end
  end
  b.log = log
  for method, o in pairs(b.ops) do
    if o.reset <= now then b.ops[method] = nil end
  end
  return b
end

-- save keeps the bucket until all it knows is over.
local function save(b)
  local last = math.max(now + 60000, now + limits.window, b.pause, b.block, b.calm)
  if leaky then last = math.max(last, now + b.level * 1000 / limits.drain) end
  for _, o in pairs(b.ops) do last = math.max(last, o.reset) end
  redis.call('SET', KEYS[1], cjson.encode(b), 'PX', math.ceil(last - now))
end

-- ask: 4 priority (0 housekeeping, 1 sync, 2 person), 5 take (0 only looks), 6 born or '',
-- 7.. methods. Answers {go, wait ms, why, probe}, or {-1} when born is needed.
if op == 'ask' then
  local priority, born = tonumber(ARGV[4]), tonumber(ARGV[6])
  if not born and redis.call('EXISTS', KEYS[1]) == 0 then return {-1} end
  local b = load(born or now)
  local wait, why = 0, ''
  local function until_(t, reason)
    if t - now > wait then wait, why = math.ceil(t - now), reason end
  end

  until_(b.block, 'blocked')
  until_(b.pause, 'paused')
  until_(math.min(b.hold, now + 250), 'paused') -- a request is finding out whether the pause is over
  for i = 7, #ARGV do
    local o = b.ops[ARGV[i]]
    if o and o.used >= limits.operating then until_(o.reset, 'operating ' .. ARGV[i]) end
  end

  local leave = limits.leave[priority + 1]
  if priority < 2 and b.person > now then leave = math.max(leave, 1) end
  if leaky then
    until_(now + (b.level + 1 + leave - limits.capacity) * 1000 / limits.drain, 'rate')
  end
  if windowed then
    local n = #b.log
    local over = math.min(n, n + 1 + leave - limits.count) -- so many must leave the window first
    if over > 0 then until_(b.log[over] + limits.window, 'rate') end
    if priority < 2 and n >= limits.burst then until_(b.log[n] + limits.gap, 'rate') end
  end

  if wait > 0 then
    if priority == 2 and why == 'rate' then
      b.person = math.max(b.person, now + wait + 50) -- lower ones leave the next room alone
      save(b)
    end
    return {0, wait, why, 0}
  end
  if ARGV[5] == '1' then
    if leaky then b.level = b.level + 1 end
    if windowed then b.log[#b.log + 1] = now end
    if b.probe then b.hold = now + limits.probe end
    if priority == 2 then b.person = 0 end -- others who wait ask again now and say so
    save(b)
  end
  return {1, 0, '', b.probe and 1 or 0}
end

-- tell: 4 fine, throttled, blocked or operating (a method was refused), 5 retry after (ms),
-- 6.. method, used ms, reset ms (0 unknown)
if op == 'tell' then
  local said, retry = ARGV[4], tonumber(ARGV[5])
  local b = load(now)
  if said == 'throttled' or said == 'blocked' then
    local field, base, most = 'pause', limits.pause, limits.max_pause
    if said == 'blocked' then field, base, most = 'block', limits.block, limits.max_block end
    if now >= math.max(b.pause, b.block) then -- answers to requests under way are one strike
      b.strikes = now < b.calm and b.strikes + 1 or 1
    end
    local rest = math.min(base * 2 ^ (b.strikes - 1), most)
    if said == 'throttled' and retry > 0 then rest = retry end -- the CRM named it
    b[field] = math.max(b[field], now + math.max(retry, rest))
    b.calm = b[field] + limits.calm
    b.probe, b.hold = true, 0
    b.level = limits.full -- the CRM's own count says so
  elseif b.probe and now >= math.max(b.pause, b.block) then
    b.probe, b.hold = false, 0
  end
  for i = 6, #ARGV, 3 do
    local used, reset = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
    if reset == 0 then reset = now + math.max(retry, 60000) end
    if said == 'operating' then
      used, reset = math.max(used, limits.operating), math.max(reset, now + 10000)
    end
    b.ops[ARGV[i]] = {used = used, reset = math.min(reset, now + 600000)}
  end
  save(b)
  return 1
end

-- look: answers {requests left, paused until, blocked until, method, used, reset, ...}
local b = load(0)
local left = windowed and limits.count - #b.log or 1000000
if leaky then left = math.min(left, math.max(0, math.floor(limits.capacity - b.level))) end
local seen = {left, b.pause > now and b.pause or 0, b.block > now and b.block or 0}
for method, o in pairs(b.ops) do
  seen[#seen + 1], seen[#seen + 2], seen[#seen + 3] = method, o.used, o.reset
end
return seen
