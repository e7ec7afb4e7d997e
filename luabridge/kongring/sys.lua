--- The system calls that ngx_lua does not have, through FFI.
--
-- Purpose: a Unix socket that carries descriptors, memory that two processes
-- share, and the socket that rings the plugin server. None of these calls
-- blocks, whatever the server handed over: each says itself that it does not
-- wait.
--
-- Called by: attach.lua and the parts of session. Phases: all.
--
-- The names are given to LuaJIT with a prefix and redirected, so that another
-- module's declaration of the same function does no harm.
--
-- @module kongring.sys


local bit = require "bit"
local ffi = require "ffi"
local layout = require "kongring.layout"


local C = ffi.C
local bor = bit.bor
local tonumber = tonumber


if not pcall(ffi.typeof, "struct kongring_msghdr") then
  ffi.cdef [[
    struct kongring_sockaddr_un { uint16_t family; char path[108]; };
    struct kongring_iovec { void *base; size_t len; };
    struct kongring_msghdr {
      void *name; uint32_t name_len;
      struct kongring_iovec *iov; size_t iov_len;
      void *control; size_t control_len;
      int flags;
    };
    struct kongring_cmsghdr { size_t len; int level; int type; int fd[2]; };

    int kongring_socket(int, int, int) __asm__("socket");
    int kongring_connect(int, const struct kongring_sockaddr_un *, uint32_t)
      __asm__("connect");
    ptrdiff_t kongring_send(int, const void *, size_t, int) __asm__("send");
    struct kongring_pollfd { int fd; short events; short revents; };
    int kongring_poll(struct kongring_pollfd *, unsigned long, int)
      __asm__("poll");
    ptrdiff_t kongring_recvmsg(int, struct kongring_msghdr *, int)
      __asm__("recvmsg");
    int kongring_close(int) __asm__("close");
    int64_t kongring_lseek(int, int64_t, int) __asm__("lseek");
    int kongring_fcntl(int, int, ...) __asm__("fcntl");
    int kongring_fstatfs(int, long *) __asm__("fstatfs");
    void *kongring_mmap(void *, size_t, int, int, int, int64_t)
      __asm__("mmap");
    int kongring_munmap(void *, size_t) __asm__("munmap");
    char *kongring_strerror(int) __asm__("strerror");
    int kongring_sched_getaffinity(int, size_t, uint8_t *)
      __asm__("sched_getaffinity");
  ]]
  -- nginx's Lua modules for http and stream have names of their own
  ffi.cdef("double kongring_ngx_now(void) __asm__(\"ngx_" ..
           ngx.config.subsystem .. "_lua_ffi_now\");")
end


-- Linux, the same on x86-64 and arm64
local AF_UNIX, SOL_SOCKET, SCM_RIGHTS = 1, 1, 1
local SOCK_STREAM_CLOEXEC_NONBLOCK = bor(1, 0x80000, 0x800)
local MSG_DONTWAIT, MSG_NOSIGNAL = 0x40, 0x4000
local MSG_CTRUNC, MSG_CMSG_CLOEXEC = 0x8, 0x40000000
local PROT_NONE, PROT_READ_WRITE = 0, 3
local MAP_SHARED_POPULATE_FIXED = bor(1, 0x8000, 0x10)
local MAP_NOTHING = bor(2, 0x20, 0x4000) -- private, anonymous, no reserve
local F_GET_SEALS, SEALS = 1034, 0x7 -- seal, shrink, grow
local TMPFS, STATFS_SIZE = 0x01021994, 120
local SEEK_END = 2
local POLLRDHUP = 0x2000
local EAGAIN, ECONNREFUSED, ENOENT = 11, 111, 2
local PATH_MAX = 107

-- bytes on either side of a mapping that nobody may touch: the largest page
-- that the two architectures have
local GUARD = 64 * 1024

-- bytes of a segment at most: two rings as large as they can be, counters, and
-- the ends of their pages
local MOST = 2 * (layout.CONTROL_SIZE + layout.MAX_CAPACITY) + 64 * 1024


local _M = {
  --- Bytes of a segment at most.
  SEGMENT_MOST = MOST,
}


local function errno(what)
  return what .. ": " .. ffi.string(C.kongring_strerror(ffi.errno()))
end


--- The time of nginx's loop, as `ngx.now` gives it, which LuaJIT cannot
-- compile as a function of its own: it would end in the interpreter each time,
-- and in the end keep its callers from being compiled.
-- @phases all
-- @treturn number seconds since the epoch
function _M.now()
  local seconds = C.kongring_ngx_now()
  return seconds
end


--- Connects to the Unix socket at a path.
-- @phases all
-- @tparam string path of up to 107 bytes
-- @treturn number|nil the descriptor
-- @treturn string|nil what went wrong
-- @treturn boolean|nil nobody listens there: the ordinary case of a server
-- that is not running
function _M.connect(path)
  if #path > PATH_MAX then
    return nil, "socket path of " .. #path .. " bytes, the limit is " ..
                PATH_MAX .. ": " .. path
  end
  local fd = C.kongring_socket(AF_UNIX, SOCK_STREAM_CLOEXEC_NONBLOCK, 0)
  if fd < 0 then
    return nil, errno("failed to make a socket")
  end

  local address = ffi.new("struct kongring_sockaddr_un")
  address.family = AF_UNIX
  ffi.copy(address.path, path, #path)
  if C.kongring_connect(fd, address, ffi.sizeof(address)) ~= 0 then
    local code = ffi.errno()
    local err = errno("failed to connect to " .. path)
    C.kongring_close(fd)
    return nil, err, code == ECONNREFUSED or code == ENOENT
  end
  return fd
end


--- Sends bytes that fit into the socket's buffer.
-- @phases all
-- @treturn boolean|nil true when all were taken
-- @treturn string|nil what went wrong
function _M.send(fd, data, len)
  local n = C.kongring_send(fd, data, len, bor(MSG_DONTWAIT, MSG_NOSIGNAL))
  if n ~= len then
    return nil, n < 0 and errno("failed to send") or "failed to send: short"
  end
  return true
end


local message = ffi.new("struct kongring_msghdr")
local vector = ffi.new("struct kongring_iovec")
local control = ffi.new("struct kongring_cmsghdr")
message.iov, message.iov_len, message.control = vector, 1, control


--- Receives bytes and the two descriptors that come with them.
-- @phases all
-- @tparam cdata data where the bytes go
-- @tparam number len how many there may be
-- @treturn number|boolean|nil their number, 0 when the peer hung up; false
-- when nothing has come yet; nil when something went wrong
-- @treturn string|nil what went wrong
-- @treturn number|boolean|nil the first descriptor, the caller's from now on;
-- with nil, true when it was the descriptors that did not come through
-- @treturn number|nil the second one
function _M.receive(fd, data, len)
  vector.base, vector.len = data, len
  message.control_len, message.flags = ffi.sizeof(control), 0
  local n = tonumber(C.kongring_recvmsg(fd, message,
                                        bor(MSG_DONTWAIT, MSG_CMSG_CLOEXEC)))
  if n < 0 then
    if ffi.errno() == EAGAIN then
      return false
    end
    return nil, errno("failed to receive")
  end

  if message.control_len == 0 then
    return n
  end
  local fds = {}
  if control.level == SOL_SOCKET and control.type == SCM_RIGHTS then
    for i = 0, (tonumber(control.len) - 16) / 4 - 1 do
      fds[i + 1] = control.fd[i]
    end
  end
  if #fds ~= 2 or bit.band(message.flags, MSG_CTRUNC) ~= 0 then
    for _, extra in ipairs(fds) do
      C.kongring_close(extra)
    end
    return nil, "failed to receive: " .. #fds .. " descriptors, wanted 2", true
  end
  return n, nil, fds[1], fds[2]
end


local looked_at = ffi.new("struct kongring_pollfd[1]")


--- Tells whether the peer of a socket hung up, whatever it sent before.
-- @phases all
-- @treturn boolean
function _M.hung_up(fd)
  looked_at[0].fd, looked_at[0].events = fd, POLLRDHUP
  return C.kongring_poll(looked_at, 1, 0) == 1
end


local one = ffi.new("uint8_t[1]", 1)


--- Rings the server. A socket that is full rings already; what is no socket
-- rings nobody.
-- @phases all
function _M.ring(fd)
  C.kongring_send(fd, one, 1, bor(MSG_DONTWAIT, MSG_NOSIGNAL))
end


--- Closes a descriptor.
-- @phases all
function _M.close(fd)
  C.kongring_close(fd)
end


local file_system = ffi.new("long[?]", STATFS_SIZE / 8) -- its type comes first


-- bytes of a mapping with its guards
local function guarded(size)
  return math.ceil(size / GUARD) * GUARD + 2 * GUARD
end


--- Maps the memory of a sealed file, between guards: who gets past either end
-- dies there, and reads or writes nothing.
-- @phases all
-- @treturn cdata|nil uint8_t pointer to it
-- @treturn number|string its size in bytes, or what is wrong with the file
function _M.map(fd)
  local seals = C.kongring_fcntl(fd, F_GET_SEALS)
  if seals < 0 or bit.band(seals, SEALS) ~= SEALS then
    return nil, "the segment is not sealed: its peer could take pages away"
  end
  if C.kongring_fstatfs(fd, file_system) ~= 0 or file_system[0] ~= TMPFS then
    return nil, "the segment is not in ordinary memory, which never runs out"
  end
  local size = tonumber(C.kongring_lseek(fd, 0, SEEK_END))
  if size <= 0 or size > MOST then
    return nil, "the segment has " .. size .. " bytes, the limit is " .. MOST
  end
  local room = guarded(size)
  local start = C.kongring_mmap(nil, room, PROT_NONE, MAP_NOTHING, -1, 0)
  if ffi.cast("intptr_t", start) == -1 then
    return nil, errno("failed to find room for the segment")
  end
  local mem = ffi.cast("uint8_t *", start) + GUARD
  if ffi.cast("intptr_t", C.kongring_mmap(mem, size, PROT_READ_WRITE,
                                          MAP_SHARED_POPULATE_FIXED, fd,
                                          0)) == -1 then
    local err = errno("failed to map the segment")
    C.kongring_munmap(start, room)
    return nil, err
  end
  return mem, size
end


--- Unmaps memory that `map` gave.
-- @phases all
function _M.unmap(mem, size)
  C.kongring_munmap(mem - GUARD, guarded(size))
end


--- The CPU that this process is bound to.
-- @phases all
-- @treturn number|nil its number, nil when there is more than one
function _M.bound_cpu()
  local mask = ffi.new("uint8_t[128]")
  local n = C.kongring_sched_getaffinity(0, 128, mask)
  local found
  for cpu = 0, n * 8 - 1 do
    if bit.band(mask[bit.rshift(cpu, 3)], bit.lshift(1, cpu % 8)) ~= 0 then
      if found then
        return nil
      end
      found = cpu
    end
  end
  return found
end


return _M
