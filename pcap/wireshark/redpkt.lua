-- redpkt in Wireshark: every field of every frame, and with a key log the sealed ones too.
--
-- Once:     wireshark -X lua_script:pcap/wireshark/redpkt.lua -o redpkt.keylog_file:night.keys night.pcap
-- Always:   mkdir -p ~/.local/lib/wireshark/plugins && cp pcap/wireshark/*.lua ~/.local/lib/wireshark/plugins
-- As text:  tshark -X lua_script:pcap/wireshark/redpkt.lua -o redpkt.keylog_file:night.keys -r night.pcap \
--             -Y 'redpkt.body.status == "Busy"'
--
-- Preferences (Edit > Preferences > Protocols > redpkt, or -o redpkt.NAME:VALUE):
--   ports         UDP ports of servers, 7100. "Decode As" and `-d udp.port==7200,redpkt` do it for one port too.
--   keylog_file   what `redpkt serve --keylog FILE` writes. It may grow during a live capture.
--
-- The wire is in proto/PROTOCOL.md. Fields of bodies are `redpkt.body.NAME`, with the names of `redpkt-pcap show --json`.
-- To look for: redpkt.user, redpkt.op == "SHAKE", redpkt.req, redpkt.sealed, redpkt.retransmission, redpkt.expert.tag,
-- redpkt.response_time > 0.1. A request's redpkt.response_in is known once its answer was read: tshark needs -2 for it.
--
-- Runs with Lua 5.2 (Wireshark until 4.2) and 5.4 (from 4.4 on, which loads no scripts for root, and does not say so).
-- redpkt_seal.lua has to stand beside this file.

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or ""
local seal = assert(loadfile(here .. "redpkt_seal.lua"), "redpkt_seal.lua has to stand beside redpkt.lua")()

local FRAME_BYTES, BODY_AT, BODY_BYTES, TAG_AT, TAG_BYTES = 64, 16, 32, 48, 16
local FRAMES_MAX = 18
local VERSION = 1
local PORTS = "7100"
-- A UDP datagram has fewer frames than this, so frame number * this + index is unique.
local INDEX_END = 1024

-- Names of values -----------------------------------------------------------------------------------------------------

local DIRECTIONS = { [0] = "to_server", [1] = "to_client" }

local OPS = {
  [1] = "HELLO", [2] = "CHALLENGE", [3] = "JOIN", [4] = "WELCOME", [5] = "STALE", [6] = "ERROR", [7] = "KEEPALIVE",
  [8] = "PATH", [9] = "PATH_OK", [16] = "SHAKE", [17] = "OPEN", [18] = "SEND", [19] = "SEND_MORE", [20] = "SHARE",
  [21] = "GRAB", [22] = "BALANCE", [23] = "HISTORY", [24] = "INVITE", [25] = "INVITE_OK", [26] = "RELAY",
  [27] = "REDIRECT", [28] = "ASK", [29] = "INVITES",
}
local HELLO, JOIN, ERROR, SEND = 1, 3, 6, 18
local IN_CLEAR_MAX = 6

local STATUSES = {
  [0] = "Ok", [1] = "Miss", [2] = "Busy", [3] = "TooOld", [4] = "Conflict", [5] = "NotDone", [6] = "UnknownPacket",
  [7] = "NotInvited", [8] = "Empty", [9] = "Expired", [10] = "OutcomeUnknown", [11] = "TooLittleMoney",
  [12] = "BadAmount", [13] = "BadShares", [14] = "BadRecipients", [15] = "Oneself", [16] = "Incomplete",
  [17] = "NothingThere",
}

local CODES = {
  [1] = "Version", [2] = "TicketExpired", [3] = "TicketKey", [4] = "Full", [5] = "Busy", [6] = "Load",
}

local KINDS = {
  [1] = "Won", [2] = "Opened", [3] = "Sent", [4] = "Returned", [5] = "PaidIn", [6] = "PaidOut",
}

-- Fields --------------------------------------------------------------------------------------------------------------

local is_first, redpkt = pcall(Proto, "redpkt", "redpkt")
if not is_first then return end -- installed, and given by -X lua_script too
local fields = {}

local function field(name, type, label, ...)
  local made = ProtoField[type]("redpkt." .. name, label, ...)
  fields[#fields + 1] = made
  return made
end

local F = {
  frames = field("frames", "uint16", "Frames"),
  frame = field("frame", "none", "Frame"),
  user = field("user", "uint64", "User"),
  seq = field("seq", "uint32", "Seq"),
  version = field("version", "uint8", "Version", base.DEC, nil, 0x7f),
  direction = field("direction", "uint8", "Direction", base.DEC, DIRECTIONS, 0x80),
  op = field("op", "uint8", "Op", base.DEC, OPS),
  flags = field("flags", "uint8", "Flags", base.HEX),
  prove_path = field("flags.prove_path", "bool", "PROVE_PATH", 8, nil, 0x01),
  send_more = field("flags.send_more", "uint8", "SEND_MORE that follow", base.DEC, nil, 0x1f),
  equal_shares = field("flags.equal_shares", "bool", "Equal shares", 8, nil, 0x80),
  load_level = field("load_level", "uint8", "Load level"),
  tag = field("tag", "bytes", "Tag"),
  body = field("body", "none", "Body"),
  sealed = field("sealed", "bytes", "Sealed body"),
  opened = field("opened", "bool", "Opened"),
  session_number = field("session_number", "uint32", "Session number"),
  req = field("req", "uint64", "Request"),
  retransmission = field("retransmission", "bool", "Retransmission"),
  response_in = field("response_in", "framenum", "Answer in", base.NONE, frametype.RESPONSE),
  response_to = field("response_to", "framenum", "Answer to", base.NONE, frametype.REQUEST),
  response_time = field("response_time", "relative_time", "Time from that"),
}

-- What stands in bodies.
local B = {}
for _, of in ipairs {
  { "ticket.expiry_s", "uint32", "Ticket's end (s since 1970)" },
  { "ticket.key_id", "uint8", "Ticket's key id" },
  { "ticket.nonce", "bytes", "Ticket's nonce" },
  { "client_random", "bytes", "Client random" },
  { "cookie.made", "uint32", "Cookie made" },
  { "cookie.mac", "bytes", "Cookie's MAC" },
  { "server_random", "bytes", "Server random" },
  { "session_number", "uint32", "Session number" },
  { "keepalive_s", "uint16", "Keepalive (s)" },
  { "idle_s", "uint16", "Idle (s)" },
  { "server_wall_ms", "uint64", "Server's clock (ms since 1970)" },
  { "shakes_per_s", "uint16", "Shakes in a second" },
  { "in_flight_max", "uint8", "Requests in flight at most" },
  { "frames_per_datagram_max", "uint8", "Frames in a datagram at most" },
  { "refused_tag", "bytes", "Refused tag" },
  { "code", "uint8", "Code", base.DEC, CODES },
  { "version_min", "uint8", "Oldest version" },
  { "version_max", "uint8", "Newest version" },
  { "retry_after_ms", "uint32", "Retry after (ms)" },
  { "token", "uint64", "Token" },
  { "req", "uint64", "Req" },
  { "attempt", "uint8", "Attempt" },
  { "status", "uint8", "Status", base.DEC, STATUSES },
  { "packet", "uint64", "Packet" },
  { "user", "uint64", "User" },
  { "fen", "uint64", "Fen" },
  { "when_s", "uint32", "When (s since 1970)" },
  { "counter", "uint32", "Counter" },
  { "total_fen", "uint64", "Total (fen)" },
  { "shares", "uint16", "Shares" },
  { "recipients", "uint64", "Recipient" },
  { "index", "uint8", "Index" },
  { "from", "uint64", "From" },
  { "expiry_s", "uint32", "End (s since 1970)" },
  { "kind", "uint8", "Kind", base.DEC, KINDS },
  { "length", "uint8", "Length" },
  { "message", "bytes", "Message" },
  { "ip", "ipv6", "IP" },
  { "port", "uint16", "Port" },
} do
  B[of[1]] = field("body." .. of[1], of[2], of[3], of[4], of[5])
end

redpkt.fields = fields

local function expert_info(name, text, group, severity)
  return ProtoExpert.new("redpkt.expert." .. name, text, group, severity)
end

local E = {
  length = expert_info("length", "Not 1 to 18 whole frames of 64 bytes", expert.group.MALFORMED, expert.severity.ERROR),
  snapped = expert_info("snapped", "Kept in part only by the capture", expert.group.UNDECODED, expert.severity.NOTE),
  mixed_users = expert_info("mixed_users", "Frames of several users", expert.group.PROTOCOL, expert.severity.ERROR),
  version = expert_info("version", "Unknown version", expert.group.UNDECODED, expert.severity.WARN),
  op = expert_info("op", "Unknown op, or not in this direction, or a handshake beside other frames",
    expert.group.PROTOCOL, expert.severity.WARN),
  tag = expert_info("tag", "No key of this user opens it: its tag is wrong, or its session's key is not in the key log",
    expert.group.CHECKSUM, expert.severity.WARN),
  sealed = expert_info("sealed", "Sealed, and no key of this user is known", expert.group.UNDECODED,
    expert.severity.COMMENT),
}
redpkt.experts = { E.length, E.snapped, E.mixed_users, E.version, E.op, E.tag, E.sealed }

-- Numbers in bytes, as Lua's numbers, which are exact below 2^53 ------------------------------------------------------

local function le(bytes, at, size)
  local number = 0
  for i = at + size, at + 1, -1 do number = number * 256 + bytes:byte(i) end
  return number
end

local function req_text(bytes, at)
  return string.format("%.0f:%.0f", le(bytes, at + 4, 4), le(bytes, at, 4))
end

local function utc(seconds)
  -- After the year 9999 the text is of no use, and os.date may refuse.
  if seconds <= 0 or seconds > 253402300799 then return nil end
  return os.date("!%Y-%m-%d %H:%M:%S UTC", math.floor(seconds))
end

-- What is appended to a field's line.
local NOTES = {
  req = req_text,
  seconds = function(bytes, at) return utc(le(bytes, at, 4)) end,
  wall_ms = function(bytes, at) return utc(math.floor(le(bytes, at, 8) / 1000)) end,
  packet = function(bytes, at)
    local machine, set, number = le(bytes, at + 6, 2), le(bytes, at + 4, 2), le(bytes, at, 4)
    if number == 0 and set == 0 and machine == 0 then return nil end
    return string.format("machine %.0f, SET %.0f, number %.0f", machine, set, number)
  end,
}

-- Bodies: what stands where -------------------------------------------------------------------------------------------
-- A layout is a list of { field, at, size, note }; `info` makes its part of the Info column.

local function refusal_info(bytes)
  local code = le(bytes, 16, 1)
  return code > 0 and " → " .. (CODES[code] or "code " .. string.format("%.0f", code)) or ""
end

local function answer_info(bytes)
  local status = le(bytes, 9, 1)
  return " → req " .. req_text(bytes, 0) .. " " .. (STATUSES[status] or "status " .. string.format("%.0f", status))
end

local function request_info(bytes) return ", req " .. req_text(bytes, 0) end

local TICKET = { { B["ticket.expiry_s"], 0, 4, "seconds" }, { B["ticket.key_id"], 4, 1 }, { B["ticket.nonce"], 5, 7 } }
local CLIENT_RANDOM = { B.client_random, 12, 8 }
local REQ, ATTEMPT, STATUS = { B.req, 0, 8, "req" }, { B.attempt, 8, 1 }, { B.status, 9, 1 }
local RECIPIENTS = { { B.recipients, 8, 8 }, { B.recipients, 16, 8 }, { B.recipients, 24, 8 } }
local MESSAGE = { { B.kind, 10, 1, "relay_kind" }, { B.length, 11, 1 }, { B.message, 12, 20 } }

local HELLO_BODY = { TICKET[1], TICKET[2], TICKET[3], CLIENT_RANDOM }
local COOKIE_BODY = { { B["cookie.made"], 0, 4 }, { B["cookie.mac"], 4, 8 } }
local JOIN_BODY = {
  TICKET[1], TICKET[2], TICKET[3], CLIENT_RANDOM, { B["cookie.made"], 20, 4 }, { B["cookie.mac"], 24, 8 },
}
local WELCOME_BODY = {
  { B.server_random, 0, 8 }, { B.session_number, 8, 4 }, { B.keepalive_s, 12, 2 }, { B.idle_s, 14, 2 },
  { B.server_wall_ms, 16, 8, "wall_ms" }, { B.shakes_per_s, 24, 2 }, { B.in_flight_max, 26, 1 },
  { B.frames_per_datagram_max, 27, 1 },
  info = function(bytes) return string.format(" → session %.0f", le(bytes, 8, 4)) end,
}
local REFUSAL_BODY = {
  { B.refused_tag, 0, 16 }, { B.code, 16, 1 }, { B.version_min, 17, 1 }, { B.version_max, 18, 1 },
  { B.retry_after_ms, 20, 4 }, info = refusal_info, refuses = true,
}
local KEEPALIVE_BODY = { { B.token, 0, 8 }, { B.server_wall_ms, 8, 8, "wall_ms" } }
local REQUEST = {
  REQ, ATTEMPT, { B.packet, 16, 8, "packet" }, { B.user, 24, 8 }, info = request_info, has_req = true,
}
local ANSWER = {
  REQ, ATTEMPT, STATUS, { B.retry_after_ms, 12, 4 }, { B.packet, 16, 8, "packet" }, { B.fen, 24, 8 },
  info = answer_info, has_req = true,
}
local ENTRY = {
  REQ, ATTEMPT, STATUS, { B.kind, 10, 1 }, { B.when_s, 12, 4, "seconds" }, { B.packet, 16, 8, "packet" },
  { B.fen, 24, 8 }, info = answer_info, has_req = true,
}
local SEND_BODY = {
  { B.counter, 0, 4 }, { B.total_fen, 4, 3 }, { B.shares, 7, 1 }, RECIPIENTS[1], RECIPIENTS[2], RECIPIENTS[3],
}
local SEND_MORE_BODY = { { B.counter, 0, 4 }, { B.index, 4, 1 }, RECIPIENTS[1], RECIPIENTS[2], RECIPIENTS[3] }
local INVITE_BODY = {
  { B.packet, 0, 8, "packet" }, { B.from, 8, 8 }, { B.expiry_s, 16, 4, "seconds" }, { B.shares, 20, 2 },
  { B.total_fen, 24, 8 },
}
local INVITE_OK_BODY = { { B.packet, 0, 8, "packet" } }
local RELAY_BODY = { REQ, ATTEMPT, MESSAGE[1], MESSAGE[2], MESSAGE[3], info = request_info, has_req = true }
local RELAY_ANSWER = { REQ, ATTEMPT, STATUS, MESSAGE[1], MESSAGE[2], MESSAGE[3], info = answer_info, has_req = true }
local REDIRECT_BODY = { { B.ip, 0, 16 }, { B.port, 16, 2 }, { B.retry_after_ms, 20, 4 } }

local TO_SERVER = {
  [1] = HELLO_BODY, [3] = JOIN_BODY, [7] = KEEPALIVE_BODY, [9] = COOKIE_BODY, [16] = REQUEST, [17] = REQUEST,
  [18] = SEND_BODY, [19] = SEND_MORE_BODY, [20] = REQUEST, [21] = REQUEST, [22] = REQUEST, [23] = REQUEST,
  [25] = INVITE_OK_BODY, [26] = RELAY_BODY, [28] = REQUEST, [29] = REQUEST,
}
local TO_CLIENT = {
  [2] = COOKIE_BODY, [4] = WELCOME_BODY, [5] = REFUSAL_BODY, [6] = REFUSAL_BODY, [7] = KEEPALIVE_BODY,
  [8] = COOKIE_BODY, [16] = ANSWER, [17] = ANSWER, [18] = ANSWER, [20] = ANSWER, [21] = ANSWER, [22] = ANSWER,
  [23] = ENTRY, [24] = INVITE_BODY, [26] = RELAY_ANSWER, [27] = REDIRECT_BODY, [28] = ANSWER, [29] = ANSWER,
}
-- Not integers: these must not be read as little-endian.
local BYTE_ORDER_NONE = {
  [B["ticket.nonce"]] = true, [B.client_random] = true, [B["cookie.mac"]] = true, [B.server_random] = true,
  [B.refused_tag] = true, [B.message] = true, [B.ip] = true,
}

-- What is kept of a capture: made anew for each -----------------------------------------------------------------------

local keys -- the key log
local opened -- by frame: body and session number; or how many keys there were when none of them opened it
local requests -- by user and req: by attempt the link of request and answer
local first_tags -- by the tag of the first frame of a datagram to the server: its link
local links -- by frame of a request: its link { number, time, answer }
local answered -- by frame of an answer: the link of its request, and the time between
local retransmissions -- by frame: whether it is one

redpkt.prefs.ports = Pref.range("Ports", PORTS, "UDP ports of redpkt servers", 65535)
redpkt.prefs.keylog_file = Pref.string("Key log file", "", "What redpkt serve --keylog FILE writes")

local keys_wanted -- whether the key log is still to be read
local told -- the last complaint about a key log

local function forget()
  opened, requests, first_tags, links, answered, retransmissions = {}, {}, {}, {}, {}, {}
  keys, keys_wanted = nil, true
end
forget()
redpkt.init = forget

-- Reads the key log when the first frame comes: Wireshark also forgets a capture without opening another.
local function read_keys()
  keys_wanted = false
  local path = redpkt.prefs.keylog_file
  if path == nil or path == "" then return end
  local why
  keys, why = seal.KeyLog.new(path)
  local complaint
  if not keys then
    complaint = "redpkt: the key log cannot be read: " .. tostring(why)
  elseif keys.bad_lines > 0 then
    complaint = string.format("redpkt: %.0f lines of the key log %s are not REDPKT_SESSION USER NUMBER KEY",
      keys.bad_lines, path)
  end
  if complaint and complaint ~= told then report_failure(complaint) end
  told = complaint
end

-- The body of a sealed frame and its session's number, or nil. What was found is kept, so a frame is opened once.
local function open(id, bytes, number)
  local found = opened[id]
  if type(found) == "string" then return found:sub(1, BODY_BYTES), le(found, BODY_BYTES, 4) end
  if not keys or found == keys.count and not keys:read_on() then return nil end
  local body, session = keys:open(bytes, number)
  if not body and keys:read_on() then body, session = keys:open(bytes, number) end
  if not body then
    opened[id] = keys.count
    return nil
  end
  local high = math.floor(session / 65536)
  local low = session % 65536
  opened[id] = body .. string.char(low % 256, math.floor(low / 256), high % 256, math.floor(high / 256))
  return body, session
end

-- Requests and their answers: an answer names user, req and attempt, a hint the tag of what it refuses ----------------

local function link_request(pinfo, id, user, req, attempt, seq)
  local name = user .. req
  local of_req = requests[name] or { seq = seq }
  requests[name] = of_req
  -- What was sent before may have been lost before it was captured: then its attempt tells. A copy has the same seq.
  if attempt > 0 or of_req.seq ~= seq then retransmissions[id] = true end
  of_req[attempt] = of_req[attempt] or { number = pinfo.number, time = pinfo.rel_ts }
  links[id] = of_req[attempt]
end

local function link_answer(pinfo, id, link)
  if not link then return end
  link.answer = link.answer or pinfo.number
  answered[id] = { link = link, time = pinfo.rel_ts - link.time }
end

-- Of a frame whose body is known, when it is seen for the first time.
local function link_frame(pinfo, id, frame)
  local body, layout, user = frame.body, frame.layout, frame.bytes:sub(1, 8)
  if frame.to_client then
    if layout.refuses then
      link_answer(pinfo, id, first_tags[body:sub(1, TAG_BYTES)])
    elseif layout.has_req then
      local of_req = requests[user .. body:sub(1, 8)]
      link_answer(pinfo, id, of_req and of_req[le(body, 8, 1)])
    end
  elseif layout.has_req then
    link_request(pinfo, id, user, body:sub(1, 8), le(body, 8, 1), frame.bytes:sub(9, 12))
  elseif frame.op == SEND then
    link_request(pinfo, id, user, frame.req, frame.bytes:byte(16), frame.bytes:sub(9, 12))
  end
end

-- Of a datagram to the server: its first frame's tag is what a hint repeats.
local function link_datagram(pinfo, id, frame)
  local tag = frame.bytes:sub(TAG_AT + 1)
  if first_tags[tag] and (frame.op == HELLO or frame.op == JOIN) then retransmissions[id] = true end
  links[id] = links[id] or first_tags[tag] or { number = pinfo.number, time = pinfo.rel_ts }
  first_tags[tag] = first_tags[tag] or links[id]
end

-- The tree ------------------------------------------------------------------------------------------------------------

local function add_header(tree, range, frame)
  local op, flags, level = frame.op, frame.bytes:byte(15), frame.bytes:byte(16)
  tree:add_le(F.user, range(0, 8))
  tree:add_le(F.seq, range(8, 4))
  tree:add(F.version, range(12, 1))
  tree:add(F.direction, range(12, 1))
  tree:add(F.op, range(13, 1))
  local item = tree:add(F.flags, range(14, 1))
  if frame.to_client then
    item:add(F.prove_path, range(14, 1))
  elseif op == SEND then
    item:add(F.send_more, range(14, 1))
    item:add(F.equal_shares, range(14, 1))
  end
  if flags ~= 0 and frame.to_client and flags % 2 == 1 then item:append_text(" (PROVE_PATH)") end
  item = tree:add(F.load_level, range(15, 1))
  if frame.to_client then
    if level > 0 then item:append_text(string.format(" (queued for about %.0f µs)", 2 ^ (level / 16))) end
  elseif op == SEND then
    item:append_text(" (its attempt)")
  end
end

local function add_body(tree, range, body, layout)
  for _, part in ipairs(layout) do
    local name, at, size, note = part[1], part[2], part[3], part[4]
    local item
    if BYTE_ORDER_NONE[name] then
      item = tree:add(name, range(at, size))
    else
      item = tree:add_le(name, range(at, size))
    end
    if note == "relay_kind" then
      -- The application's: the names are those of the history.
      item:set_text(string.format("Kind: %.0f", body:byte(at + 1)))
    elseif note then
      local text = NOTES[note](body, at)
      if text then item:append_text(" (" .. text .. ")") end
    end
  end
end

local function add_generated(tree, item_field, ...)
  tree:add(item_field, ...):set_generated()
end

-- Seconds as Wireshark's time: both parts have the sign, as where records are not in the order of time.
local function span(seconds)
  local ns = math.floor(math.abs(seconds) * 1e9 + 0.5)
  local whole = math.floor(ns / 1e9)
  local rest = math.floor(ns - whole * 1e9)
  if seconds < 0 then whole, rest = -whole, -rest end
  return NSTime.new(whole, rest)
end

local function add_links(tree, id, frame)
  local body, layout = frame.body, frame.layout
  if body and layout.has_req then
    local number = frame.body_range(0, 8):le_uint64()
    add_generated(tree, F.req, frame.range(BODY_AT, 8), number, "Request: " .. req_text(body, 0))
  elseif frame.req then
    local number = UInt64.new(le(frame.req, 0, 4), le(frame.req, 4, 4))
    add_generated(tree, F.req, frame.range(BODY_AT, 4), number, "Request: " .. req_text(frame.req, 0))
  end
  if retransmissions[id] then add_generated(tree, F.retransmission, true) end
  local link, answer = links[id], answered[id]
  if link and link.answer then add_generated(tree, F.response_in, link.answer) end
  if answer then
    add_generated(tree, F.response_to, answer.link.number)
    add_generated(tree, F.response_time, span(answer.time))
  end
end

-- What is known of a frame before its body is looked at.
local function header(bytes, range)
  local version_direction = bytes:byte(13)
  local to_client = version_direction >= 128
  local op, version = bytes:byte(14), version_direction % 128
  -- ERROR is the same in every version.
  local layout = (version == VERSION or op == ERROR) and (to_client and TO_CLIENT or TO_SERVER)[op] or nil
  return { bytes = bytes, range = range, to_client = to_client, op = op, version = version, layout = layout }
end

-- Finds a frame's body, its session and its request.
local function find_body(frame, id, pinfo)
  if not frame.layout then return end
  if frame.op <= IN_CLEAR_MAX then
    frame.body, frame.body_range = frame.bytes:sub(BODY_AT + 1, TAG_AT), frame.range(BODY_AT, BODY_BYTES)
    return
  end
  -- The number of a session that would begin now: steps of 250 ms since 2025.
  local now = math.floor((pinfo.abs_ts - 1735689600) * 4)
  frame.body, frame.session = open(id, frame.bytes, now)
  if frame.body and frame.op == SEND and not frame.to_client then
    local high = opened[id]:sub(BODY_BYTES + 1)
    frame.req = frame.body:sub(1, 4) .. high
  end
end

-- What is wrong with a frame by its header, or why its body is not shown.
local function add_doubts(tree, frame, is_alone)
  if frame.version ~= VERSION then tree:add_proto_expert_info(E.version) end
  if frame.version == VERSION and not frame.layout
    or not is_alone and not frame.to_client and (frame.op == HELLO or frame.op == JOIN) then
    tree:add_proto_expert_info(E.op)
  end
  if frame.layout and not frame.body then
    local is_known = keys and keys:knows(frame.bytes:sub(1, 8))
    tree:add_proto_expert_info(is_known and E.tag or E.sealed)
  end
end

local function add_frame(root, id, frame, is_alone)
  local range = frame.range
  local tree = root:add(F.frame, range)
  add_header(tree, range, frame)
  if frame.body then
    local of_body = tree:add(F.body, frame.body_range)
    add_body(of_body, frame.body_range, frame.body, frame.layout)
  else
    tree:add(F.sealed, range(BODY_AT, BODY_BYTES))
  end
  tree:add(F.tag, range(TAG_AT, TAG_BYTES))
  if frame.session then
    add_generated(tree, F.opened, true)
    add_generated(tree, F.session_number, frame.session)
  end
  add_links(tree, id, frame)
  add_doubts(tree, frame, is_alone)
  return tree
end

-- Text for the Info column and a frame's line: op, user, seq and what its body says.
local function describe(frame, with_user)
  local text = OPS[frame.op] or string.format("op %.0f", frame.op)
  if with_user then text = text .. " user " .. tostring(frame.range(0, 8):le_uint64()) end
  local seq = le(frame.bytes, 8, 4)
  if seq > 0 then text = text .. string.format(" seq %.0f", seq) end
  if frame.version ~= VERSION then text = text .. string.format(" version %.0f", frame.version) end
  if frame.req then return text .. ", req " .. req_text(frame.req, 0) end
  local info = frame.body and frame.layout.info
  return info and text .. info(frame.body) or text
end

-- Up to so many frames are described one by one.
local DESCRIBED_MAX = 3

local function summary(frames, is_mixed)
  if #frames == 0 then return "no whole frame" end
  if #frames == 1 then return describe(frames[1], true) end
  local parts, counts = {}, {}
  if #frames <= DESCRIBED_MAX then
    for i, frame in ipairs(frames) do parts[i] = describe(frame, i == 1 or is_mixed) end
    return table.concat(parts, " | ")
  end
  for _, frame in ipairs(frames) do
    local name = OPS[frame.op] or string.format("op %.0f", frame.op)
    if not counts[name] then parts[#parts + 1] = name end
    counts[name] = (counts[name] or 0) + 1
  end
  for i, name in ipairs(parts) do parts[i] = string.format("%.0f %s", counts[name], name) end
  local whose = is_mixed and "several users" or "user " .. tostring(frames[1].range(0, 8):le_uint64())
  return string.format("%.0f frames, %s: %s", #frames, whose, table.concat(parts, ", "))
end

-- The whole frames of a datagram that the capture has, with their bodies. Opened ones get a data source of their own.
local function frames_of(tvb, pinfo)
  local frames, bodies, is_mixed = {}, {}, false
  for index = 0, math.floor(tvb:len() / FRAME_BYTES) - 1 do
    local range = tvb:range(index * FRAME_BYTES, FRAME_BYTES)
    local frame = header(tvb:raw(index * FRAME_BYTES, FRAME_BYTES), range)
    local id = pinfo.number * INDEX_END + index
    find_body(frame, id, pinfo)
    if frame.session then
      bodies[#bodies + 1] = frame.body
      frame.place = #bodies
    end
    frames[#frames + 1] = frame
    is_mixed = is_mixed or frame.bytes:sub(1, 8) ~= frames[1].bytes:sub(1, 8)
    if not pinfo.visited then
      if frame.body then link_frame(pinfo, id, frame) end
      if index == 0 and not frame.to_client then link_datagram(pinfo, id, frame) end
    end
  end
  if #bodies > 0 then
    local plain = ByteArray.new(table.concat(bodies), true):tvb("Opened bodies")
    for _, frame in ipairs(frames) do
      if frame.place then frame.body_range = plain:range((frame.place - 1) * BODY_BYTES, BODY_BYTES) end
    end
  end
  return frames, is_mixed
end

function redpkt.dissector(tvb, pinfo, tree)
  local captured, reported = tvb:len(), tvb:reported_len()
  pinfo.cols.protocol = "redpkt"
  if keys_wanted then read_keys() end
  local root = captured > 0 and tree:add(redpkt, tvb:range(0, captured)) or tree:add(redpkt)
  local frames, is_mixed = frames_of(tvb, pinfo)
  add_generated(root, F.frames, #frames)
  for i, frame in ipairs(frames) do
    local id = pinfo.number * INDEX_END + i - 1
    add_frame(root, id, frame, reported == FRAME_BYTES):set_text("Frame: " .. describe(frame, true))
  end
  local info = summary(frames, is_mixed)
  if reported == 0 or reported % FRAME_BYTES ~= 0 or reported > FRAMES_MAX * FRAME_BYTES then
    root:add_proto_expert_info(E.length)
    info = string.format("%.0f bytes are not 1 to %.0f frames: %s", reported, FRAMES_MAX, info)
  end
  if captured < reported then root:add_proto_expert_info(E.snapped) end
  if is_mixed then root:add_proto_expert_info(E.mixed_users) end
  pinfo.cols.info = info
  return captured
end

-- Ports ---------------------------------------------------------------------------------------------------------------

local udp_ports = DissectorTable.get("udp.port")
local ports = PORTS
udp_ports:add(ports, redpkt)

function redpkt.prefs_changed()
  local wanted = redpkt.prefs.ports
  if wanted == ports then return end
  if ports ~= "" then udp_ports:remove(ports, redpkt) end
  if wanted ~= "" then udp_ports:add(wanted, redpkt) end
  ports = wanted
end
