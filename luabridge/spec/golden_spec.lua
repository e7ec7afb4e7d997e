-- The golden frames for the bridge: what it sends is in them, byte by byte, and
-- it understands what the server sends there. nginx, Kong and the server are
-- stand-ins, and the server has but the files. Run by ring_test.go; prints a
-- line "ok NAME" or "not ok NAME: why" each. server/golden_test.go is the other
-- side.

local cases = require "spec.cases"
local ffi = require "ffi"
local golden = require "spec.golden"
local layout = require "kongring.layout"


local case, equal = cases.case, cases.equal


local function nothing() end


local clock = 0
local server -- what happens while the bridge waits
local semaphore = {
  wait = function() return server() end,
  post = nothing,
  count = function() return 0 end,
}
local socket -- of the next connection


ngx = { -- luacheck: globals ngx
  config = { subsystem = "http" },
  worker = { exiting = nothing, id = function() return 1 end,
             pid = function() return 4711 end },
  thread = { spawn = nothing, kill = nothing },
  timer = { at = nothing },
  socket = { tcp = function() return socket end },
  now = function() return clock end,
  log = print, sleep = nothing, update_time = nothing, ctx = {}, null = {},
  ERR = 4,
}
package.loaded["ngx.semaphore"] = { new = function() return semaphore end }
package.loaded["ngx.errlog"] = {
  get_sys_filter_level = function() return 5 end,
}
package.loaded["table.clone"] = nothing

local did = {} -- what was called of Kong's
local function does(name)
  return function(...)
    did[#did + 1] = name .. "(" .. table.concat({ ... }, ", ") .. ")"
  end
end
local x_name -- what Kong gives for the header
kong = {
  request = { get_header = function(name)
    equal("x-name", name)
    return x_name
  end },
  response = { set_header = does("set_header"), exit = does("exit"),
               set_status = does("set_status") },
}

local sys = { now = ngx.now, bound_cpu = nothing, close = nothing,
              unmap = nothing, SEGMENT_MOST = 2 ^ 20 }
package.loaded["kongring.sys"] = sys
local attach = require "kongring.attach"
local event = require "kongring.event"
local instance = require "kongring.instance"
local pump = require "kongring.pump"
local ring = require "kongring.ring"
local sessions = require "kongring.session"
local stream = require "kongring.stream"


-- a piece of memory as a string, and one with a string in it
local function text_of(memory)
  return ffi.string(memory, ffi.sizeof(memory))
end

local function memory_of(text)
  local memory = ffi.new("uint64_t[?]", math.ceil(#text / 8))
  ffi.copy(memory, text, #text)
  return memory
end


-- a server's end of connections that sends these files
local function answering(...)
  local text = ""
  for _, name in ipairs({ ... }) do
    text = text .. golden.read(name)
  end
  local sent
  sys.connect = function() return 3 end
  sys.send = function(_, data, len)
    sent = ffi.string(data, len)
    return true
  end
  sys.receive = function(_, data, len)
    ffi.copy(data, text, len)
    return len, nil, 4, 5
  end
  socket = {
    settimeouts = nothing, close = nothing,
    connect = function() return true end,
    send = function(_, bytes)
      sent = bytes
      return #bytes
    end,
    receiveany = function(_, n)
      local some = text:sub(1, n)
      text = text:sub(n + 1)
      return some
    end,
  }
  return function() return sent end
end


local memory -- of the segment


local function attached()
  answering("welcome")
  local header = golden.read("header")
  local size = ffi.cast("const kongring_header *", header).size
  memory = ffi.new("uint64_t[?]", size / 8)
  ffi.copy(memory, header, #header)
  sys.map = function(fd)
    equal(4, fd)
    return ffi.cast("uint8_t *", memory), size
  end
  return assert(attach.attach("path"))
end


case("hello and welcome", function()
  local a = attached()
  equal(7, a.id)
  equal("0123456789abcdef", a.token)
  equal(2 ^ 26, a.max_message)
  equal(3, #a.segment.regions) -- and number 0
  equal(1408, a.segment.regions[layout.REGION_TO_WORKER].size)
  equal(8192, a.segment.regions[layout.REGION_TO_WORKER].ptr - a.segment.base)
  local sent = answering("welcome")
  assert(attach.attach("path"))
  golden.same("hello", sent())
end)


case("hello of a doorbell", function()
  local a = attached()
  local sent = answering("welcome")
  equal(socket, attach.open_doorbell("path", a))
  golden.same("hello-doorbell", sent())
end)


case("a welcome that refuses", function()
  answering("welcome-refused")
  local a, err = attach.attach("path")
  equal(nil, a)
  equal("the server refused: versions differ", err)
end)


case("a header over the socket", function()
  answering("welcome", "header")
  local a = assert(attach.attach_socket("path"))
  equal(20480, a.segment.size)
  local region = a.segment.regions[layout.REGION_TO_SERVER]
  assert(ring.producer(region.ptr, region.size))
end)


case("a ring with a pad", function()
  local mem = ffi.new("uint64_t[?]", 1408 / 8)
  assert(ring.format(mem, 1408))
  local p = assert(ring.producer(mem, 1408))
  equal(true, p:write(("a"):rep(100), 100, false))
  equal(true, p:write(("b"):rep(200), 200, false))
  golden.same("ring", text_of(mem))

  local again = memory_of(golden.read("ring"))
  local c = assert(ring.consumer(again, 1408))
  equal(100, c:read())
  equal(("a"):rep(100), ffi.string(c.frame, 100))
  equal(200, c:read())
  equal(("b"):rep(200), ffi.string(c.frame, 200))
  equal(false, c.more)
  equal(false, c:read())
end)


-- a session, and the server's ends of its rings
local function open()
  local a = attached()
  a.close, a.bell = nothing, { ring = nothing }
  local regions = a.segment.regions
  local inn, out = regions[layout.REGION_TO_SERVER],
                   regions[layout.REGION_TO_WORKER]
  assert(ring.format(inn.ptr, inn.size))
  assert(ring.format(out.ptr, out.size))
  return assert(sessions.new(a, 2100)),
         assert(ring.consumer(inn.ptr, inn.size)),
         assert(ring.producer(out.ptr, out.size))
end


-- a server that reads one file and answers with others
local function expects(consumer, producer, said, ...)
  local answers = { ... }
  local n = consumer:read()
  golden.same(said, n and ffi.string(consumer.frame, n))
  for _, name in ipairs(answers) do
    local text = golden.read(name)
    equal(true, producer:write(text, #text, false))
  end
end


-- lets the server of a session go through steps, one each time that the bridge
-- waits; behind the last one time goes by
local function script(consumer, producer, steps)
  local next_step, failed = 0, nil
  server = function()
    next_step = next_step + 1
    local step = steps[next_step]
    if not step then
      clock = clock + 100
      return false
    end
    local ok, err = pcall(expects, consumer, producer, unpack(step))
    failed = failed or not ok and err or nil
    return ok
  end
  return function()
    equal(nil, failed, "the server's end")
    assert(next_step >= #steps, "the bridge waited " .. next_step .. " times")
  end
end


case("a conversation", function()
  local session, consumer, producer = open()
  local bridge = { get = function() return session end }
  local entity = { __plugin_id = "6f1c0a", __seq__ = 7 }
  local conf = setmetatable({ message = "hi" }, { __index = entity })
  local function run(phase, steps)
    did = {}
    local finished = script(consumer, producer, steps)
    local ok, failure, text = event.run(bridge, "hello", layout.PHASE[phase],
                                        conf, 60)
    finished()
    return ok, failure, text, table.concat(did, " ")
  end

  x_name = "ada"
  local ok, _, text, done = run("access", {
    { "start", "started" }, { "event", "call" },
    { "return", "done", "profile" },
  })
  equal(nil, text)
  equal(true, ok)
  equal("set_header(x-hello, hi) set_status(201)", done)
  equal(1, instance.known(session, conf))
  assert(session:drain(nil) ~= nil) -- the profile
  equal(1, session:profile(1, layout.PHASE.access).n)

  ok, _, text, done = run("access", { { "event-values", "exit" } })
  equal(nil, text)
  equal(true, ok)
  equal("set_header(x-hello, hi) exit(403, no)", done)

  local failure
  x_name = nil
  ok, failure, text = run("access", { { "event-no-value" } })
  equal(false, ok)
  equal("timeout no answer in time", failure .. " " .. text)
  expects(consumer, producer, "cancel")

  ok, failure, text = run("rewrite", { { "event-rewrite", "done-refused" } })
  equal(false, ok)
  equal("failed plugin hello has no handler for phase rewrite",
        failure .. " " .. text)

  conf = nil -- luacheck: ignore
  collectgarbage()
  collectgarbage()
  session:close_unused()
  expects(consumer, producer, "close")
  equal(false, consumer:read())
end)


case("counters", function()
  local session, consumer = open()
  local c = ffi.cast("kongring_worker_counters *", session.counters)
  ffi.copy(c, golden.read("counters"):sub(layout.HEAD_SIZE + 1))
  for name, want in pairs({
    frames_in = 9, frames_out = 8, bytes_in = 700, bytes_out = 600,
    spins_paid = 5, spins_unpaid = 4, sleeps = 3, doorbells = 2,
    full_waits = 0, late_frames = 1, events = 4, events_done = 3,
    event_ticks = 2.5e6, calls = 1, errors = 1, deadlines = 1, open = 1,
    ticks_per_us = 2100, log_level = 5,
  }) do
    equal(want, c[name], name)
  end
  local a = session.attachment
  a.socket = { settimeouts = nothing, close = nothing }
  a.over = { post = nothing, wait = function() session:close("over") end }
  pump.run({}, session)
  golden.same("counters", ffi.string(consumer.frame, consumer:read()))
end)


-- A NaN that the server writes there would be a value of any type in Lua.
case("counters are not read back", function()
  local session = open()
  ffi.fill(session.shown, ffi.sizeof("kongring_worker_counters"), 0xff)
  local slot, generation = session:acquire(layout.TYPE_EVENT, 100)
  slot.started = 0
  local c = session.counters
  c.late_frames = c.late_frames + 1
  session:release(slot, generation)
  local shown = ffi.cast("kongring_worker_counters *", session.shown)
  equal(1, c.late_frames, "late frames")
  equal(1, shown.late_frames, "as others see them")
  equal(1, shown.events_done, "events done")
end)


case("frames on the socket", function()
  local mem = ffi.new("uint64_t[?]", 1408 / 8)
  assert(ring.format(mem, 1408))
  local p = assert(ring.producer(mem, 1408))
  local c = assert(ring.consumer(mem, 1408))
  local out = ffi.new("uint8_t[4096]")
  for _, name in ipairs({ "event", "close" }) do
    local text = golden.read(name)
    equal(true, p:write(text, #text, false))
  end
  golden.same("socket", ffi.string(out, assert(stream.gather(c, out, 4096))))

  local text = golden.read("socket")
  equal(#text, stream.split({}, p, ffi.cast("uint8_t *", memory_of(text)),
                            #text))
  golden.same("event", ffi.string(c.frame, c:read()))
  golden.same("close", ffi.string(c.frame, c:read()))
end)


case("a message in pieces", function()
  local session, consumer = open()
  local slot = assert(session:acquire(layout.TYPE_EVENT, clock + 60))
  slot.generation = 2
  local b = session:begin(slot, layout.TYPE_RETURN, layout.STATUS_OK, 0)
  b:put_str(("v"):rep(300))
  equal(true, session:send(slot, 2))
  local out = ffi.new("uint8_t[4096]")
  golden.same("pieces",
              ffi.string(out, assert(stream.gather(consumer, out, 4096))))
end)


cases.finish()
