-- What redpkt.lua needs to open sealed frames: AEGIS-128L (draft-irtf-cfrg-aegis-aead) and key logs.
-- It stands beside redpkt.lua and knows nothing of Wireshark, so any Lua from 5.1 on runs it.
--
-- Blocks of 16 bytes are four words of 32 bits, little-endian: a column of AES's state each. Bytes are cut out of them
-- with arithmetic, which costs less than the calls of a library, and is the same in all Luas.

local byte, sub = string.byte, string.sub

-- Exclusive or of up to five words, and conjunction of two: results are 0 to 2^32 - 1.

local xor, conj
if bit32 then -- Lua 5.2
  xor, conj = bit32.bxor, bit32.band
elseif bit then -- Lua 5.1 with LuaBitOp, whose results are signed
  xor = function(...) return bit.bxor(...) % 4294967296 end
  conj = function(a, b) return bit.band(a, b) % 4294967296 end
else -- from Lua 5.3 on there are operators, which other Luas cannot even parse
  xor = load("return function(a, b, c, d, e) return a ~ b ~ (c or 0) ~ (d or 0) ~ (e or 0) end")()
  conj = load("return function(a, b) return a & b end")()
end

-- AES's round on one byte of each column: SubBytes and MixColumns together, a table for each row.

local T0, T1, T2, T3 = {}, {}, {}, {}
do
  local function double(x) return x < 128 and 2 * x or xor(2 * x - 256, 0x1b) end
  -- 3 generates all bytes but 0, so its powers give products, and inverses, as sums.
  local power, log, x = {}, {}, 1
  for i = 0, 254 do
    power[i], log[x] = x, i
    x = xor(x, double(x))
  end
  for value = 0, 255 do
    local inverse = value == 0 and 0 or power[(255 - log[value]) % 255]
    local s, turned = inverse, inverse
    for _ = 1, 4 do
      turned = turned < 128 and 2 * turned or 2 * turned - 255
      s = xor(s, turned)
    end
    s = xor(s, 0x63)
    local s2 = double(s)
    local s3 = xor(s2, s)
    T0[value] = s2 + s * 0x100 + s * 0x10000 + s3 * 0x1000000
    T1[value] = s3 + s2 * 0x100 + s * 0x10000 + s * 0x1000000
    T2[value] = s + s3 * 0x100 + s2 * 0x10000 + s * 0x1000000
    T3[value] = s + s * 0x100 + s3 * 0x10000 + s2 * 0x1000000
  end
end

-- One round of AES on the block a b c d, and then exclusive or with the block k l m n.
local function round(a, b, c, d, k, l, m, n)
  local a0 = a % 256; a = (a - a0) / 256
  local a1 = a % 256; a = (a - a1) / 256
  local a2 = a % 256
  local b0 = b % 256; b = (b - b0) / 256
  local b1 = b % 256; b = (b - b1) / 256
  local b2 = b % 256
  local c0 = c % 256; c = (c - c0) / 256
  local c1 = c % 256; c = (c - c1) / 256
  local c2 = c % 256
  local d0 = d % 256; d = (d - d0) / 256
  local d1 = d % 256; d = (d - d1) / 256
  local d2 = d % 256
  return xor(T0[a0], T1[b1], T2[c2], T3[(d - d2) / 256], k),
    xor(T0[b0], T1[c1], T2[d2], T3[(a - a2) / 256], l),
    xor(T0[c0], T1[d1], T2[a2], T3[(b - b2) / 256], m),
    xor(T0[d0], T1[a1], T2[b2], T3[(c - c2) / 256], n)
end

-- AEGIS-128L. The state s is S0 to S7 in 32 words: word w of Si is s[4 * i + w], w from 1.

local function update(s, m0, m1)
  local p, q, r, t = s[29], s[30], s[31], s[32]
  for i = 1, 29, 4 do
    local k, l, m, n = s[i], s[i + 1], s[i + 2], s[i + 3]
    if i == 1 then
      s[1], s[2], s[3], s[4] = round(p, q, r, t, xor(k, m0[1]), xor(l, m0[2]), xor(m, m0[3]), xor(n, m0[4]))
    elseif i == 17 then
      s[17], s[18], s[19], s[20] = round(p, q, r, t, xor(k, m1[1]), xor(l, m1[2]), xor(m, m1[3]), xor(n, m1[4]))
    else
      s[i], s[i + 1], s[i + 2], s[i + 3] = round(p, q, r, t, k, l, m, n)
    end
    p, q, r, t = k, l, m, n
  end
end

-- Four words of 16 bytes, from byte `at` on.
local function words(bytes, at)
  local block = {}
  for w = 1, 4 do
    local a, b, c, d = byte(bytes, at + 4 * w - 4, at + 4 * w - 1)
    block[w] = a + b * 0x100 + c * 0x10000 + d * 0x1000000
  end
  return block
end

local function text(word)
  local a = word % 256; word = (word - a) / 256
  local b = word % 256; word = (word - b) / 256
  local c = word % 256
  return string.char(a, b, c, (word - c) / 256)
end

local ZERO = { 0, 0, 0, 0 }
local C0 = words("\000\001\001\002\003\005\008\013\021\034\055\089\144\233\121\098", 1)
local C1 = words("\219\061\024\085\109\194\047\241\032\017\049\066\115\181\040\221", 1)
-- Lengths of associated data and message in bits, 64 of them each.
local LENGTHS = { 128, 0, 256, 0 }

-- The body of a sealed frame of 64 bytes if `key`, 16 bytes, is its key and it is as it was sealed; else nil.
local function open(key, frame)
  local k, nonce = words(key, 1), { 0, 0, 0, 0 }
  nonce[1] = words(frame, 9)[1]
  nonce[2] = byte(frame, 13) < 128 and 0 or 1

  local s = {}
  for w = 1, 4 do
    local mixed = xor(k[w], nonce[w])
    s[w], s[4 + w], s[8 + w], s[12 + w] = mixed, C1[w], C0[w], C1[w]
    s[16 + w], s[20 + w], s[24 + w], s[28 + w] = mixed, xor(k[w], C0[w]), xor(k[w], C1[w]), xor(k[w], C0[w])
  end
  for _ = 1, 10 do update(s, nonce, k) end
  update(s, words(frame, 1), ZERO)

  local m0, m1 = words(frame, 17), words(frame, 33)
  for w = 1, 4 do
    m0[w] = xor(m0[w], s[24 + w], s[4 + w], conj(s[8 + w], s[12 + w]))
    m1[w] = xor(m1[w], s[8 + w], s[20 + w], conj(s[24 + w], s[28 + w]))
  end
  update(s, m0, m1)

  local last = {}
  for w = 1, 4 do last[w] = xor(s[8 + w], LENGTHS[w]) end
  for _ = 1, 7 do update(s, last, last) end
  local tag = words(frame, 49)
  for w = 1, 4 do
    if xor(xor(s[w], s[4 + w], s[8 + w], s[12 + w], s[16 + w]), s[20 + w], s[24 + w]) ~= tag[w] then return nil end
  end
  return text(m0[1]) .. text(m0[2]) .. text(m0[3]) .. text(m0[4])
    .. text(m1[1]) .. text(m1[2]) .. text(m1[3]) .. text(m1[4])
end

-- Key logs. Users are 8 bytes as on the wire: no number of Lua 5.2 holds them.

-- A decimal number as `size` bytes, little-endian; nil if it is none, or greater.
local function decimal(digits, size)
  if not digits:find("^%d+$") then return nil end
  local bytes = {}
  for i = 1, size do bytes[i] = 0 end
  for digit in digits:gmatch("%d") do
    local carry = digit + 0
    for i = 1, size do
      local value = bytes[i] * 10 + carry
      bytes[i] = value % 256
      carry = (value - bytes[i]) / 256
    end
    if carry > 0 then return nil end
  end
  local chars = {}
  for i = 1, size do chars[i] = string.char(bytes[i]) end
  return table.concat(chars)
end

-- User, session number and key of a line; nil if it is none of a key log.
local function logged_key(line)
  local label, user, number, hex, more = line:match("^%s*(%S+)%s+(%S+)%s+(%S+)%s+(%S+)(.*)$")
  if label ~= "REDPKT_SESSION" or more:find("%S") or #hex ~= 32 or not hex:find("^%x+$") then return nil end
  user, number = decimal(user, 8), decimal(number, 4)
  if not user or not number then return nil end
  local key = hex:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)
  return user, words(number .. number .. number .. number, 1)[1], key
end

local LINE_BYTES_MAX = 4096
local READ_BYTES = 65536

local KeyLog = {}
KeyLog.__index = KeyLog

-- A key log in a file; nil and why, if it cannot be read.
function KeyLog.new(path)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local readable, not_readable = file:read(0), nil
  if not readable then -- an empty file, or none at all, such as a directory
    readable, not_readable = file:seek("end")
    if not readable or readable > 0 then return nil, path .. ": " .. (not_readable or "not a file") end
  end
  local log = setmetatable({ file = file, at = 0, tail = "", sessions = {}, count = 0, bad_lines = 0 }, KeyLog)
  log:read_on()
  return log
end

-- Reads what was written since. Whether there was a key in it.
function KeyLog:read_on()
  local count, size = self.count, self.file:seek("end")
  if not size or size <= self.at then return false end
  self.file:seek("set", self.at)
  while self.at < size do
    local chunk = self.file:read(math.min(READ_BYTES, size - self.at))
    if not chunk then break end
    self.at = self.at + #chunk
    local lines = self.tail .. chunk
    local done = 0
    for line, after in lines:gmatch("([^\n]*)\n()") do
      self:line(line)
      done = after - 1
    end
    self.tail = sub(lines, done + 1)
    if #self.tail > LINE_BYTES_MAX then self.tail = "-" end
  end
  -- The last line may have no end; it may also be half written, and is then read again.
  local user = logged_key(self.tail)
  if user then
    self:line(self.tail)
    self.tail = ""
  end
  return self.count > count
end

function KeyLog:line(line)
  if line:find("^%s*$") or line:find("^#") then return end
  local user, number, key = logged_key(line)
  if not user then
    self.bad_lines = self.bad_lines + 1
    return
  end
  local of_user = self.sessions[user]
  if not of_user then
    of_user = {}
    self.sessions[user] = of_user
  end
  -- Logs are in the order of time, so this is the end, nearly always.
  local at = #of_user + 1
  while at > 1 and of_user[at - 1].number > number do at = at - 1 end
  table.insert(of_user, at, { number = number, key = key })
  self.count = self.count + 1
end

-- Keys that are tried on a frame: a forged one costs no more than that.
local TRIED_MAX = 8

-- The body of a sealed frame and the number of its session, if a key of its user in the log opens it.
-- First is tried the session that was used last, then those around the one that had begun last at `number`.
function KeyLog:open(frame, number)
  local of_user = self.sessions[sub(frame, 1, 8)]
  if not of_user then return nil end
  local used = of_user.used
  local body = used and open(used.key, frame)
  if body then return body, used.number end
  local low, high = 0, #of_user + 1 -- of_user[low] had begun by then, of_user[high] had not
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if of_user[middle].number <= number then low = middle else high = middle end
  end
  for tried = 1, TRIED_MAX do
    local session
    if tried % 2 == 1 then
      session, low = of_user[low], low - 1
    else
      session, high = of_user[high], high + 1
    end
    body = session and session ~= used and open(session.key, frame)
    if body then
      of_user.used = session
      return body, session.number
    end
  end
  return nil
end

-- Whether there is any key of a user, 8 bytes.
function KeyLog:knows(user)
  return self.sessions[user] ~= nil
end

return { open = open, KeyLog = KeyLog }
