--- Attaches the worker to a plugin server: hello, welcome, segment.
--
-- Purpose: gets the shared memory of a new session, or makes memory like it
-- where the frames go over the socket, and checks everything in it that the
-- server could have got wrong, before the first use.
--
-- Called by: bridge.lua. Phases: those that may sleep (timers).
--
-- @module kongring.attach


local ffi = require "ffi"
local layout = require "kongring.layout"
local ring = require "kongring.ring"
local semaphore = require "ngx.semaphore"
local sys = require "kongring.sys"
local turn = require "kongring.turn"
local versions = require "kongring.versions"


local concat = table.concat
local fmt = string.format
local max = math.max


-- how long a server may take for its welcome, in seconds, and how often this
-- side looks for it: nothing tells nginx when it is there
local PATIENCE = 1
local LOOK = 0.001


local _M = {}


-- What wakes the server's reader: a socket, or the pump's semaphore, since
-- the pump is who reads the ring then.
local Bell = {}
Bell.__index = Bell


function Bell:ring()
  sys.ring(self.fd)
end


local PumpBell = {}
PumpBell.__index = PumpBell


function PumpBell:ring()
  self.sema:post(1)
  turn.keep_awake()
end


local function hello(kind, session, token)
  local h = ffi.new("kongring_hello")
  h.magic, h.version, h.app = layout.MAGIC, layout.VERSION, layout.APP
  h.kind, h.session = kind, session or 0
  h.worker, h.pid = ngx.worker.id() or 0, ngx.worker.pid()
  h.cpu = sys.bound_cpu() or layout.CPU_UNKNOWN
  if token then
    ffi.copy(h.token, token, 16)
  end
  return h
end


-- nil when a welcome says yes, else why not, and whether it is for want of
-- shared memory
local function refusal(w)
  local err = versions.fault(w)
  if err then
    return err
  end
  if w.status ~= layout.WELCOME_OK then
    local n = math.min(w.reason_size, ffi.sizeof(w.reason))
    return "the server refused: " .. ffi.string(w.reason, n),
           w.status == layout.WELCOME_NO_MEMORY
  end
  if w.limit > layout.MAX_MESSAGE then
    return fmt("the server allows messages of %d bytes, the limit is %d",
               w.limit, layout.MAX_MESSAGE)
  end
end


-- why a welcome ended after some bytes: another version's is shorter
local function cut_off(w, got, err)
  return got >= versions.NEEDED and versions.fault(w) or err
end


-- Waits for the welcome on fd; gives it and the two descriptors, or nil, what
-- happened, and whether it is shared memory that this or the other side lacks.
local function receive_welcome(fd)
  local w = ffi.new("kongring_welcome")
  local bytes = ffi.cast("uint8_t *", w)
  local got, memory, bell = 0, nil, nil
  local deadline = ngx.now() + PATIENCE
  local err, no_memory
  repeat
    local n, failed, first, second = sys.receive(fd, bytes + got,
                                                 layout.WELCOME_SIZE - got)
    if n and first and memory then -- a second pair: nobody asked for it
      sys.close(first)
      sys.close(second)
    elseif n and first then
      memory, bell = first, second
    end
    if n == nil then
      err, no_memory = failed, first
    elseif n == 0 then
      err = cut_off(w, got, "the server hung up")
    elseif n then
      got = got + n
    elseif ngx.now() > deadline then
      err = cut_off(w, got, "the server did not answer for " .. PATIENCE ..
                            " s")
    else
      ngx.sleep(LOOK)
    end
  until err or got == layout.WELCOME_SIZE

  if not err then
    err, no_memory = refusal(w)
  end
  if not err and not memory then
    err, no_memory = "the server's welcome carries no memory", true
  end
  if err then
    if memory then
      sys.close(memory)
      sys.close(bell)
    end
    return nil, err, no_memory
  end
  return w, memory, bell
end


-- what is wrong with a segment's header, nil when nothing is. The header is a
-- private copy.
local function fault(h, size, session)
  if h.magic ~= layout.MAGIC or h.version ~= layout.VERSION or
     h.app ~= layout.APP then
    return fmt("magic 0x%08x version %d.%d, wanted 0x%08x %d.%d", h.magic,
               h.version, h.app, layout.MAGIC, layout.VERSION, layout.APP)
  end
  if h.size ~= size then
    return fmt("size %d in a file of %d bytes", h.size, size)
  end
  if h.session ~= session then
    return fmt("session %d, wanted %d", h.session, session)
  end
  if h.region_size ~= ffi.sizeof("kongring_region") or
     h.count ~= layout.REGION_COUNT then
    return fmt("%d regions with entries of %d bytes", h.count, h.region_size)
  end
  local stop = layout.HEADER_SIZE
  for i = 0, h.count - 1 do
    local r = h.regions[i]
    if r.offset < stop or r.offset % layout.REGION_ALIGNMENT ~= 0 or
       r.size == 0 or r.offset + r.size > size then
      return fmt("region %d at %d of %d bytes, behind %d in %d bytes", i,
                 r.offset, r.size, stop, size)
    end
    stop = r.offset + r.size
  end
  for _, i in ipairs({ layout.REGION_SERVER_COUNTERS,
                       layout.REGION_WORKER_COUNTERS }) do
    if h.regions[i].size < layout.COUNTERS_SIZE then
      return fmt("counters of %d bytes", h.regions[i].size)
    end
  end
end


-- the table of a segment from its checked header
local function segment_of(header, base)
  local regions = {}
  for i = 0, header.count - 1 do
    local r = header.regions[i]
    regions[i] = { ptr = base + r.offset, size = tonumber(r.size) }
  end
  return { base = base, size = tonumber(header.size), regions = regions }
end


-- Maps the segment behind a descriptor; or nil, why not, and whether the
-- memory was refused.
local function map(memory, session)
  local base, size = sys.map(memory)
  if not base then
    return nil, size, true
  end
  local err = size < layout.HEADER_SIZE and "a file of " .. size .. " bytes"
  local header = ffi.new("kongring_header")
  if not err then
    ffi.copy(header, base, ffi.sizeof(header))
    err = fault(header, size, session)
  end
  if err then
    sys.unmap(base, size)
    return nil, "the segment lies about itself: " .. err
  end
  return segment_of(header, base)
end


-- Makes a segment like the one with this header, in memory of this worker. The
-- garbage collector takes it when the table is gone.
local function imitate(header, size, session)
  local err = size > sys.SEGMENT_MOST and
              fmt("%d bytes, the limit is %d", size, sys.SEGMENT_MOST) or
              fault(header, size, session)
  if err then
    return nil, "the segment's header is wrong: " .. err
  end
  local memory = ffi.new("uint8_t[?]", size)
  local segment = segment_of(header, ffi.cast("uint8_t *", memory))
  segment.memory = memory
  for _, i in ipairs({ layout.REGION_TO_SERVER, layout.REGION_TO_WORKER }) do
    -- of one that holds no ring the session complains
    ring.format(segment.regions[i].ptr, segment.regions[i].size)
  end
  return segment
end


local function close_shared(a)
  sys.close(a.control)
  sys.close(a.bell.fd)
  sys.unmap(a.segment.base, a.segment.size)
end


local function close_socket(a)
  a.socket:close()
end


--- Attaches to the server at a path, with rings in shared memory.
-- @phases timer
-- @tparam string path of the control socket
-- @treturn table|nil the attachment: `id` of the session, `token`,
-- `max_message` (longest message in bytes, either way), `segment`
-- (base, size, regions by number with ptr and size), the descriptor `control`,
-- and `bell`, whose method `ring` wakes the server. All of it is the caller's,
-- to give to `detach`.
-- @treturn string|nil why not
-- @treturn boolean|nil nobody listens there
-- @treturn boolean|nil shared memory is refused, by either side
function _M.attach(path)
  local control, err, absent = sys.connect(path)
  if not control then
    return nil, err, absent
  end
  local ok
  ok, err = sys.send(control, hello(layout.HELLO_ATTACH), layout.HELLO_SIZE)
  local w, memory, bell
  if ok then
    w, memory, bell = receive_welcome(control)
    err = memory
  end
  if not w then
    sys.close(control)
    return nil, err, nil, bell
  end

  local segment, no_memory
  segment, err, no_memory = map(memory, w.session)
  sys.close(memory) -- the mapping stays
  if not segment then
    sys.close(control)
    sys.close(bell)
    return nil, err, nil, no_memory
  end
  return {
    id = tonumber(w.session),
    token = ffi.string(w.token, 16),
    max_message = tonumber(w.limit),
    segment = segment,
    control = control,
    bell = setmetatable({ fd = bell }, Bell),
    close = close_shared,
  }
end


-- Reads so many bytes, within PATIENCE in all: a cosocket's own timeout begins
-- anew with each byte. Gives nil, an error and what came where that is less.
local function receive_in_time(socket, n)
  local deadline = ngx.now() + PATIENCE
  local parts, got = {}, 0
  while got < n do
    local left = deadline - ngx.now()
    if left <= 0 then
      return nil, "timeout", concat(parts)
    end
    socket:settimeouts(PATIENCE * 1000, PATIENCE * 1000, max(left * 1000, 1))
    local text, err = socket:receiveany(n - got)
    if not text then
      return nil, err, concat(parts)
    end
    parts[#parts + 1] = text
    got = got + #text
  end
  return concat(parts)
end


-- says hello over a cosocket; gives it and the welcome
local function greet(path, h)
  local socket = ngx.socket.tcp()
  socket:settimeouts(PATIENCE * 1000, PATIENCE * 1000, PATIENCE * 1000)
  local ok, err = socket:connect("unix:" .. path)
  if not ok then
    return nil, "failed to connect to " .. path .. ": " .. err
  end
  ok, err = socket:send(ffi.string(h, layout.HELLO_SIZE))
  local text, part
  if ok then
    text, err, part = receive_in_time(socket, layout.WELCOME_SIZE)
  end
  local w = ffi.new("kongring_welcome")
  if text then
    ffi.copy(w, text, layout.WELCOME_SIZE)
    err = refusal(w)
  elseif part then
    ffi.copy(w, part, #part)
    err = cut_off(w, #part, err)
  end
  if err then
    socket:close()
    return nil, err
  end
  return socket, w
end


--- Attaches to the server at a path, with private rings whose frames go over
-- the connection: `kongring.pump` carries them.
-- @phases timer
-- @tparam string path of the control socket
-- @treturn table|nil the attachment, as `attach` gives it, but with `socket`, a
-- cosocket of this timer, in the place of `control`, and with the semaphore
-- `over`, which `detach` posts
-- @treturn string|nil why not
function _M.attach_socket(path)
  local socket, w = greet(path, hello(layout.HELLO_ATTACH_SOCKET))
  if not socket then
    return nil, w
  end
  local header = ffi.new("kongring_header")
  local text, err = receive_in_time(socket, ffi.sizeof(header))
  local segment
  if text then
    ffi.copy(header, text, #text)
    segment, err = imitate(header, tonumber(w.segment_size), w.session)
  end
  if not segment then
    socket:close()
    return nil, err
  end
  return {
    id = tonumber(w.session),
    max_message = tonumber(w.limit),
    segment = segment,
    socket = socket,
    over = semaphore.new(),
    bell = setmetatable({ sema = semaphore.new() }, PumpBell),
    close = close_socket,
  }
end


--- Gives back what `attach` or `attach_socket` gave. The server notices at
-- once.
-- @phases all; of a socket that no pump has yet, those of its timer
-- @tparam table a the attachment; nobody uses its memory any more
function _M.detach(a)
  a:close()
end


--- Opens the connection on which the server rings this worker.
-- @phases timer
-- @tparam string path of the control socket
-- @tparam table a the attachment
-- @treturn table|nil a cosocket: each byte that comes is a ring, and its
-- hang-up is the server's death
-- @treturn string|nil why not
function _M.open_doorbell(path, a)
  local socket, err = greet(path, hello(layout.HELLO_DOORBELL, a.id, a.token))
  if not socket then
    return nil, "failed to open a doorbell: " .. err
  end
  return socket
end


return _M
