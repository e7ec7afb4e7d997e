-- Checks kongring.msgpack against Debian's lua-messagepack and against bytes
-- written out by hand. Run from the root of the tree:
--
--   LUA_PATH='luabridge/?.lua;;' luajit luabridge/spec/msgpack_spec.lua
--
-- MSGPACK_SEED repeats a run. Stops with status 1 at the first failure.


local bit = require "bit"
local ffi = require "ffi"
local mp = require "MessagePack"
local msgpack = require "kongring.msgpack"


local fmt = string.format
local random = math.random
local rep = string.rep
local null = msgpack.null
local array_mt = msgpack.array_mt
local INF = 1 / 0


ffi.cdef [[
  void *mmap(void *addr, size_t len, int prot, int flags, int fd, long off);
  int mprotect(void *addr, size_t len, int prot);
  int getpagesize(void);
]]


-- so that a crash leaves the names of the cases before it
io.stdout:setvbuf("line")


local seed = tonumber(os.getenv("MSGPACK_SEED")) or os.time()
math.randomseed(seed)


local case_name


local function fail(...)
  io.stderr:write(fmt("FAIL %s (MSGPACK_SEED=%d): ", case_name, seed),
                  fmt(...), "\n")
  os.exit(1)
end


local function check(ok, ...)
  if not ok then
    fail(...)
  end
end


local function case(name, run)
  case_name = name
  local ok, note = xpcall(run, debug.traceback)
  check(ok, "%s", tostring(note))
  print("ok " .. name .. (note and " (" .. note .. ")" or ""))
end


local function hex(s)
  return (s:sub(1, 40):gsub(".", function(c)
    return fmt("%02x", c:byte())
  end))
end


local function show(v)
  return type(v) == "string" and "string " .. hex(v) or tostring(v)
end


local function unhex(s)
  return (s:gsub("%s", ""):gsub("..", function(h)
    return string.char(tonumber(h, 16))
  end))
end


-- Documents are read from the end of readable memory: one byte too far hits
-- the page that must not be touched, and the process dies.
local PAGE = ffi.C.getpagesize()
local ROOM = 64 * PAGE
local room = ffi.C.mmap(nil, ROOM + PAGE, 3, 0x22, -1, 0)
check(ffi.cast("intptr_t", room) ~= -1, "mmap failed")
local fence = ffi.cast("uint8_t *", room) + ROOM
check(ffi.C.mprotect(fence, PAGE, 0) == 0, "mprotect failed")


local buffer = msgpack.new_buffer(16)
local reader = msgpack.new_reader()


local function load(s)
  check(#s <= ROOM, "document of %d bytes does not fit", #s)
  ffi.copy(fence - #s, s, #s)
  reader:set(fence - #s, #s)
  return reader
end


local function encode(v)
  buffer:reset()
  local ok, err = buffer:put_value(v)
  check(ok == true, "encode: %s", tostring(err))
  return buffer:tostring()
end


local function decode(s)
  load(s)
  local ok, v = reader:read_value()
  check(ok == true, "decode of %s: %s", hex(s), tostring(v))
  check(reader.pos == #s, "decode of %s stopped at %d", hex(s), reader.pos)
  return v
end


local function same_number(a, b)
  if a ~= a or b ~= b then
    return a ~= a and b ~= b
  end

  return a == b and (a ~= 0 or 1 / a == 1 / b)
end


local function same(a, b)
  if type(a) ~= type(b) then
    return false
  end

  if type(a) == "number" then
    return same_number(a, b)
  end

  if type(a) ~= "table" then
    return a == b
  end

  for k, v in pairs(a) do
    if not same(v, b[k]) then
      return false
    end
  end

  for k in pairs(b) do
    if a[k] == nil then
      return false
    end
  end

  return true
end


local function random_bytes(n)
  local t = {}
  for i = 1, n do
    t[i] = string.char(random(0, 255))
  end

  return table.concat(t)
end


local function random_number()
  local kind = random(6)
  if kind == 1 then
    return random(-40, 300)
  elseif kind == 2 then
    -- they write integers up to 2^64 as such, which we read as cdata
    local v = (random() - 0.5) * 2 ^ random(-40, 200)
    return math.abs(v) > 2^53 and math.abs(v) < 2^65 and v * 2^65 or v
  elseif kind == 3 then
    return 2 ^ random(0, 52) + random(-2, 2)
  elseif kind == 4 then
    return -2 ^ random(0, 52) + random(-2, 2)
  elseif kind == 5 then
    return random(0, 1) == 0 and INF or -INF
  end

  return math.floor((random() - 0.5) * 2 ^ 53)
end


local function random_value(depth)
  local kind = random(depth > 4 and 7 or 10)
  if kind <= 3 then
    return random_number()
  elseif kind <= 5 then
    return random_bytes(random(0, random(20) == 1 and 300 or 40))
  elseif kind <= 7 then
    return random(2) == 1
  elseif kind == 8 then
    local t = {}
    for i = 1, random(1, 20) do
      t[i] = random_value(depth + 1)
    end

    return t
  end

  local t = {}
  for _ = 1, random(0, 20) do
    -- no fractions: they take { 2, [0.5] = 1 } for an array of two
    local k = random(3) == 1 and math.floor(random_number())
              or random_bytes(random(0, 9))
    t[k] = random_value(depth + 1)
  end

  return t
end


print(fmt("seed %d, jit %s", seed, tostring((jit.status()))))


-- LuaJIT gives up a trace now and then because of where in a loop recording
-- happened to begin, and tries again. No other reason may come up, and once
-- all is compiled nothing at all may, except where tables are nested: keys of
-- several types meet there in one loop. Comes first, as what other cases
-- do to the compiler's counts would remain.
case("the hot paths compile", function()
  if not jit.status() then
    return "skipped, jit is off"
  end

  local vmdef = require "jit.vmdef"
  local passing = {
    ["leaving loop in root trace"] = true,
    ["inner loop in root trace"] = true,
    ["loop unroll limit reached"] = true,
  }
  local passing_nested = {
    ["blacklisted"] = true,
    ["persistent type instability"] = true,
  }
  local seen
  local function watch(what, _, _, _, err, extra)
    if what == "start" then
      seen.started = seen.started + 1
    elseif what == "abort" then
      local reason = type(err) == "number" and vmdef.traceerr[err] or err
      if not passing[reason]
         and not (seen.nested and passing_nested[reason]) then
        seen.bad = fmt("%s (%s)", reason, tostring(extra))
      end
    end
  end

  local b, r, out = msgpack.new_buffer(512), msgpack.new_reader(), {}
  local args = { "x-header", 12345, true, nil, "abc", -7, false, 1.5, n = 8 }
  local function typed()
    b:reset()
    b:put_array(3)
    b:put_str("x-header")
    b:put_number(70000)
    b:put_bool(true)
    r:set(b.data, b.len)
    return r:read_array() == 3 and r:read_str() == "x-header"
           and r:read_int() == 70000
  end

  local function mixed()
    b:reset()
    b:put_u32(0)
    b:put_array(args.n)
    for i = 1, args.n do
      b:put_value(args[i])
    end

    b:set_u32(0, b.len)
    r:set(b.data, b.len)
    return r:read_u32() == b.len and r:read_args(out) == 8
           and out[1] == "x-header" and out[4] == nil and out[8] == 1.5
  end

  local header = { ["x-list"] = { "a", "b" }, host = "example.com", n = 12 }
  local function nested()
    b:reset()
    b:put_value(header)
    r:set(b.data, b.len)
    return r:read_value()
  end

  local function drive(run, name)
    for _ = 1, 30000 do
      check(run(), "%s: wrong value", name)
    end
  end

  for _, run in ipairs { typed, mixed, nested } do
    local name = run == typed and "typed" or run == mixed and "mixed"
                 or "nested"
    seen = { started = 0, nested = run == nested }
    jit.attach(watch, "trace")
    local rounds, before = 0
    repeat
      rounds, before = rounds + 1, seen.started
      drive(run, name)
    until rounds == 20 or seen.started == before

    jit.attach(watch)
    check(seen.started > 0, "%s: nothing was compiled", name)
    check(not seen.bad, "%s: %s", name, tostring(seen.bad))
    check(run == nested or seen.started == before, "%s: still compiling",
          name)
  end
end)


case("no garbage", function()
  if not jit.status() then
    return "skipped, jit is off"
  end

  local b, r = msgpack.new_buffer(512), msgpack.new_reader()
  local function call()
    b:reset()
    b:put_array(2)
    b:put_str("x-header")
    b:put_number(1234)
    r:set(b.data, b.len)
    r:read_array()
    r:read_str()
    return r:read_int()
  end

  for _ = 1, 10000 do
    call()
  end

  collectgarbage()
  collectgarbage("stop")
  local before = collectgarbage("count")
  for _ = 1, 100000 do
    call()
  end

  local grown = (collectgarbage("count") - before) * 1024
  collectgarbage("restart")
  check(grown < 100000, "%d bytes for 100000 calls", grown)
end)


case("ours to theirs, 3000 values", function()
  for _ = 1, 3000 do
    local v = random_value(0)
    local s = encode(v)
    check(same(v, mp.unpack(s)), "they read %s otherwise", hex(s))
    check(same(v, decode(s)), "we read %s otherwise", hex(s))
  end
end)


case("theirs to ours, 3000 values", function()
  for i = 1, 3000 do
    mp.set_string(i % 2 == 0 and "string" or "string_compat")
    mp.set_integer(i % 3 == 0 and "signed" or "unsigned")
    local v = random_value(0)
    local s = mp.pack(v)
    check(same(v, decode(s)), "we read %s otherwise", hex(s))
  end
end)


case("every form they write, as binary and float32", function()
  mp.set_string "binary"
  mp.set_number "float"
  for _, v in ipairs { "", "abc", rep("x", 256), rep("y", 65536), 0.5, -2.25,
                       INF, -INF } do
    check(same(v, decode(mp.pack(v))), "%s", hex(mp.pack(v)))
  end

  mp.set_string "string"
  mp.set_number "double"
end)


-- The value, the bytes it is written as (up to "..." if the rest is body),
-- and what is read back if it is not the same.
local function exact(v, bytes, back)
  local s = encode(v)
  local open = bytes:find("...", 1, true)
  local want = unhex(open and bytes:sub(1, open - 1) or bytes)
  check(open and s:sub(1, #want) == want or s == want,
        "%s is written as %s, not %s", show(v), hex(s), bytes)
  if back == nil then
    back = v
  end

  local got = decode(s)
  check(same(back, got), "%s is read as %s", bytes, show(got))
  return got, s
end


case("nil and booleans", function()
  check(decode(encode(nil)) == nil, "nil")
  check(encode(nil) == "\192", "nil is %s", hex(encode(nil)))
  exact(true, "c3")
  exact(false, "c2")
  check(encode(null) == "\192", "null is %s", hex(encode(null)))
  check(encode(ffi.cast("void *", 0)) == "\192", "NULL")
end)


case("integer boundaries", function()
  exact(0, "00")
  exact(127, "7f")
  exact(128, "cc 80")
  exact(255, "cc ff")
  exact(256, "cd 01 00")
  exact(65535, "cd ff ff")
  exact(65536, "ce 00 01 00 00")
  exact(2^31 - 1, "ce 7f ff ff ff")
  exact(2^31, "ce 80 00 00 00")
  exact(2^32 - 1, "ce ff ff ff ff")
  exact(2^32, "cf 00 00 00 01 00 00 00 00")
  exact(2^32 + 0x89abcdef, "cf 00 00 00 01 89 ab cd ef")
  exact(2^53 - 1, "cf 00 1f ff ff ff ff ff ff")
  exact(2^53, "cf 00 20 00 00 00 00 00 00")
  exact(-1, "ff")
  exact(-32, "e0")
  exact(-33, "d0 df")
  exact(-128, "d0 80")
  exact(-129, "d1 ff 7f")
  exact(-32768, "d1 80 00")
  exact(-32769, "d2 ff ff 7f ff")
  exact(-2^31, "d2 80 00 00 00")
  exact(-2^31 - 1, "d3 ff ff ff ff 7f ff ff ff")
  exact(-2^32, "d3 ff ff ff ff 00 00 00 00")
  exact(-2^53 + 1, "d3 ff e0 00 00 00 00 00 01")
  exact(-2^53, "d3 ff e0 00 00 00 00 00 00")
  check(decode(unhex "d0 7f") == 127, "int8 127")
  check(decode(unhex "d1 7f ff") == 32767, "int16 32767")
  check(decode(unhex "d2 7f ff ff ff") == 2^31 - 1, "int32 2^31 - 1")
  check(decode(unhex "d3 00 00 00 00 ff ff ff ff") == 2^32 - 1, "int64")
end)


case("64-bit integers", function()
  local function wide(v, bytes)
    local s = encode(v)
    check(s == unhex(bytes), "%s is written as %s", tostring(v), hex(s))
    local got = decode(s)
    check(type(got) == "cdata" and got == v
          and tostring(got) == tostring(v), "%s is read as %s", bytes,
          tostring(got))
  end

  wide(2^53 + 1LL, "d3 00 20 00 00 00 00 00 01")
  wide(-2^53 - 1LL, "d3 ff df ff ff ff ff ff ff")
  wide(0x7fffffffffffffffLL, "d3 7f ff ff ff ff ff ff ff")
  wide(-0x7fffffffffffffffLL - 1, "d3 80 00 00 00 00 00 00 00")
  wide(2^53 + 1ULL, "cf 00 20 00 00 00 00 00 01")
  wide(0x8000000000000000ULL, "cf 80 00 00 00 00 00 00 00")
  wide(0xffffffffffffffffULL, "cf ff ff ff ff ff ff ff ff")
  exact(5LL, "d3 00 00 00 00 00 00 00 05", 5)
  exact(-5LL, "d3 ff ff ff ff ff ff ff fb", -5)
  exact(5ULL, "cf 00 00 00 00 00 00 00 05", 5)
  local t = decode(encode({ [1] = -1ULL }))
  check(t[1] == -1ULL, "in an array")
  check(next(decode(unhex "81 cf ff ff ff ff ff ff ff ff 01")) == -1ULL,
        "as a key")
end)


case("doubles", function()
  exact(1.5, "cb 3f f8 00 00 00 00 00 00")
  exact(-0.0, "cb 80 00 00 00 00 00 00 00")
  exact(INF, "cb 7f f0 00 00 00 00 00 00")
  exact(-INF, "cb ff f0 00 00 00 00 00 00")
  exact(2^53 + 2, "cb 43 40 00 00 00 00 00 01")
  exact(2^64, "cb 43 f0 00 00 00 00 00 00")
  exact(5e-324, "cb 00 00 00 00 00 00 00 01")
  exact(0/0, "cb ...")
  check(decode(unhex "ca 3f c0 00 00") == 1.5, "float32")
  check(decode(unhex "ca ff 80 00 00") == -INF, "float32 -inf")
  check(same_number(decode(unhex "ca 80 00 00 00"), -0.0), "float32 -0")
end)


-- A payload let through would be taken for a value of another type.
case("no NaN payload gets in", function()
  local function nan(s)
    local v = decode(s)
    check(type(v) == "number" and v ~= v, "%s is a %s", hex(s), type(v))
    check(encode { v }:sub(3, 4) == encode(0/0):sub(2, 3), "%s kept", hex(s))
  end

  for _ = 1, 20000 do
    local sign = random(0, 1) * 0x80
    nan("\203" .. string.char(sign + 0x7f, random(0xf1, 0xff))
        .. random_bytes(6))
    nan("\202" .. string.char(sign + 0x7f, random(0x81, 0xff))
        .. random_bytes(2))
  end

  nan(unhex "cb 7f f0 00 00 00 00 00 01")
  nan(unhex "cb ff f0 00 00 80 00 00 00")
  nan(unhex "cb ff ff ff ff ff ff ff ff")
  nan(unhex "ca ff 80 00 01")
  nan(unhex "ca ff ff ff ff")
end)


case("string and binary lengths", function()
  for n, head in pairs {
    [0] = "a0", [31] = "bf", [32] = "d9 20", [255] = "d9 ff",
    [256] = "da 01 00", [65535] = "da ff ff", [65536] = "db 00 01 00 00",
  } do
    local s = random_bytes(n)
    local _, doc = exact(s, head .. " ...")
    check(doc:sub(-n) == s or n == 0, "body of %d", n)
    check(mp.unpack(doc) == s, "they read %d otherwise", n)
    check(load(doc):read_str() == s, "read_str of %d", n)
  end

  for n, head in pairs {
    [0] = "c4 00", [255] = "c4 ff", [256] = "c5 01 00", [65535] = "c5 ff ff",
    [65536] = "c6 00 01 00 00",
  } do
    local s = random_bytes(n)
    local _, doc = exact(msgpack.bin(s), head .. " ...", s)
    check(mp.unpack(doc) == s, "they read %d otherwise", n)
    check(load(doc):read_str() == s, "read_str of %d", n)
    buffer:reset()
    buffer:put_bin(s)
    check(buffer:tostring() == doc, "put_bin of %d", n)
  end
end)


case("array and map lengths", function()
  local heads = {
    { 1, "91", "81" }, { 15, "9f", "8f" }, { 16, "dc 00 10", "de 00 10" },
    { 255, "dc 00 ff", "de 00 ff" }, { 256, "dc 01 00", "de 01 00" },
    { 65535, "dc ff ff", "de ff ff" },
    { 65536, "dd 00 01 00 00", "df 00 01 00 00" },
  }

  for _, head in ipairs(heads) do
    local n, array, map = head[1], {}, {}
    for i = 1, n do
      array[i] = i % 7
      map[-i] = false
    end

    local _, doc = exact(array, head[2] .. " ...")
    check(same(mp.unpack(doc), array), "they read an array of %d", n)
    check(load(doc):read_array() == n, "read_array of %d", n)
    if n < 65535 then
      _, doc = exact(map, head[3] .. " ...")
      check(same(mp.unpack(doc), map), "they read a map of %d", n)
      check(load(doc):read_map() == n, "read_map of %d", n)
    else
      check(encode(map):sub(1, #unhex(head[3])) == unhex(head[3]), "%d", n)
    end
  end
end)


case("arrays and maps told apart", function()
  local map = exact({}, "80")
  check(getmetatable(map) == nil, "an empty map has a metatable")
  local array = exact(setmetatable({}, array_mt), "90")
  check(getmetatable(array) == array_mt, "an empty array has none")
  exact(array, "90")
  check(getmetatable(exact({ 1 }, "91 01")) == nil, "an array has one")
  exact({ [2] = 1 }, "81 02 01")
  exact({ [0] = 1 }, "81 00 01")
  exact({ [1.5] = 1 }, "81 cb 3f f8 00 00 00 00 00 00 01")
  exact({ 1, 2, nil, 4 }, "83 ...")
  exact({ 1, 2, x = 3 }, "83 ...")
  exact({ [true] = 1 }, "81 c3 01")
  exact(setmetatable({ 1, 2, x = 3 }, array_mt), "92 01 02", { 1, 2 })
  exact({ a = null }, "81 a1 61 c0")
  exact({ null }, "91 c0")
  exact({ msgpack.bin("x") }, "91 c4 01 78", { "x" })
  local hostile = setmetatable({}, { __index = error })
  exact(hostile, "80", {})
end)


case("what cannot be encoded", function()
  local function refused(v, want)
    buffer:reset()
    buffer:put_str("kept")
    local ok, err = buffer:put_value(v)
    check(ok == nil and err:find(want, 1, true), "got %s", tostring(err))
    check(buffer:tostring() == "\164kept", "the buffer is %s",
          hex(buffer:tostring()))
  end

  refused(print, "cannot encode a function")
  refused(coroutine.create(print), "cannot encode a thread")
  refused(io.stdout, "cannot encode a userdata")
  refused(ffi.new("int[1]"), "cannot encode a cdata")
  refused(ffi.cast("void *", 1), "cannot encode a cdata")
  refused({ 1, { "x", { print } } }, "cannot encode a function")
  refused({ x = { 1, io.stdout } }, "cannot encode a userdata")
  refused({ [print] = 1 }, "cannot encode a function")
  refused({ [{}] = 1 }, "cannot encode a table as a map key")
  refused({ [null] = 1 }, "as a map key")
  refused(msgpack.bin(1), "cannot encode a number as bin")
  local loop = {}
  loop[1], loop[2] = loop, loop
  refused(loop, "nested deeper than 32")
end)


case("nesting limit", function()
  check(msgpack.MAX_DEPTH == 32, "limit")
  for _, maps in ipairs { true, false } do
    local v = 1
    for _ = 1, 32 do
      v = maps and { a = v } or { v }
    end

    check(same(decode(encode(v)), v), "32 levels")
    buffer:reset()
    local ok, err = buffer:put_value({ v })
    check(ok == nil and err:find("32", 1, true), "33 levels are written")

    local doc = rep(maps and "\129\161a" or "\145", 33) .. "\1"
    ok, err = load(doc):read_value()
    check(ok == false and err:find("deeper than 32", 1, true),
          "33 levels are read")
    check(reader.pos == 0, "the position moved")
  end

  local ok = load(rep("\145", 100000)):read_value()
  check(ok == false, "100000 levels are read")
end)


case("damaged input", function()
  for doc, want in pairs {
    ["c1"] = "unknown", ["92 01 c1"] = "byte 2", ["d4 00 00"] = "extension",
    ["c7 01 00 00"] = "extension", ["d6 ff 00 00 00 00"] = "extension",
    ["81 c0 01"] = "map key at byte 1", ["82 01 02 c0 01"] = "byte 3",
    ["81 90 01"] = "map key", ["81 80 01"] = "map key",
    ["81 cb 7f f8 00 00 00 00 00 00 01"] = "map key",
    [""] = "truncated", ["dd ff ff ff ff 01"] = "truncated array at byte 0",
    ["df 80 00 00 00 01"] = "truncated map at byte 0",
    ["db ff ff ff ff 01"] = "truncated string at byte 0",
    ["93 01 02"] = "truncated array", ["82 01 02 03"] = "truncated map",
  } do
    local ok, err = load(unhex(doc)):read_value()
    check(ok == false and err:find(want, 1, true), "%s: %s", doc,
          tostring(err))
    check(reader.pos == 0, "%s moved the position", doc)
  end
end)


-- A header is five bytes and may claim all that follow it, as may the first
-- element of the array and so on.
case("no memory on the word of a header", function()
  local t = {}
  for i = 1, 32 do
    local left = 200000 - 5 * i
    t[i] = "\221" .. string.char(0, bit.rshift(left, 16),
                                 bit.band(bit.rshift(left, 8), 255),
                                 bit.band(left, 255))
  end

  local doc = table.concat(t)
  doc = doc .. rep("\193", 200000 - #doc)
  load(doc)
  collectgarbage()
  collectgarbage("stop")
  local before = collectgarbage("count")
  local ok = reader:read_value()
  local grown = collectgarbage("count") - before
  collectgarbage("restart")
  check(ok == false, "it is read")
  check(grown < 1024, "%d KiB were allocated", grown)
end)


local documents = {
  encode { 1, 200, 70000, 2^40, -1, -100, -1000, -100000, -2^40, 1.5 },
  encode { "a", rep("b", 40), msgpack.bin("cc"), true, false, null },
  encode { a = { b = { c = { 1, 2, { d = "e" } } } }, f = {} },
  encode(rep("x", 300)), encode(rep("y", 70000)), encode(msgpack.bin("z")),
  encode(msgpack.bin(rep("z", 300))), encode(-1ULL), encode(-2^60 * 1LL),
  unhex "ca 3f c0 00 00", unhex "dc 00 02 c0 c0", unhex "de 00 01 01 02",
  unhex "dd 00 00 00 02 c0 c0", unhex "df 00 00 00 01 01 02",
  unhex "c6 00 00 00 01 01", unhex "db 00 00 00 01 78",
}


case("every truncation is refused", function()
  for _, doc in ipairs(documents) do
    decode(doc)
    for n = 0, #doc - 1, #doc > 1000 and 997 or 1 do
      load(doc:sub(1, n))
      local ok, err = reader:read_value()
      check(ok == false and err:find("truncated", 1, true),
            "%s cut to %d: %s", hex(doc), n, tostring(err))
      reader:read_array()
      reader:read_map()
      reader:read_str()
      reader:read_int()
      reader:read_args({})
    end
  end
end)


case("200000 documents of garbage", function()
  local start = os.clock()
  local read, args = 0, {}
  local methods = { "read_array", "read_map", "read_str", "read_int",
                    "read_u8", "read_u16", "read_u32" }

  for i = 1, 200000 do
    local doc
    if i % 2 == 0 then
      doc = random_bytes(random(0, 40))
    else
      -- containers above all, so that much of it is read
      doc = string.char(random(0x80, 0x9f)) .. random_bytes(random(0, 30))
    end

    if i % 4 == 1 then
      doc = documents[random(3)]
      local at = random(#doc)
      doc = doc:sub(1, at - 1) .. random_bytes(1) .. doc:sub(at + 1)
    end

    load(doc)
    local fine, ok, v = pcall(reader.read_value, reader)
    check(fine, "%s raises %s", hex(doc), tostring(ok))
    check(ok == true or ok == false and type(v) == "string", "%s", hex(doc))
    check(reader.pos <= #doc and (ok or reader.pos == 0), "%s", hex(doc))
    if ok then
      read = read + 1
      encode(v)
    end

    load(doc)
    fine, ok = pcall(reader.read_args, reader, args)
    check(fine, "%s raises %s", hex(doc), tostring(ok))
    local method = methods[random(#methods)]
    load(doc)
    fine, ok = pcall(reader[method], reader)
    check(fine, "%s of %s raises %s", method, hex(doc), tostring(ok))
  end

  check(read > 10000, "only %d could be read", read)
  check(os.clock() - start < 60, "%d s", os.clock() - start)
end)


case("typed reads", function()
  buffer:reset()
  buffer:put_u8(0x01)
  buffer:put_u16(0x8203)
  buffer:put_u32(0xf4050607)
  check(buffer:tostring() == unhex "01 03 82 07 06 05 f4", "little-endian")
  buffer:set_u32(1, 0xdeadbeef)
  check(buffer:tostring() == unhex "01 ef be ad de 05 f4", "set_u32")
  check(not pcall(buffer.set_u32, buffer, 4, 1), "set_u32 beyond the end")
  load(unhex "01 03 82 07 06 05 f4")
  check(reader:read_u8() == 0x01, "u8")
  check(reader:read_u16() == 0x8203, "u16")
  check(reader:read_u32() == 0xf4050607, "u32")
  for name in pairs { read_u8 = 1, read_u16 = 1, read_u32 = 1 } do
    local v, err = reader[name](reader)
    check(v == nil and err:find("truncated", 1, true), "%s", tostring(err))
  end

  check(load("\205\1\0"):read_int() == 256, "read_int")
  check(load("\224"):read_int() == -32, "read_int")
  local ints = { ["cf ff ff ff ff ff ff ff ff"] = "beyond 2^53",
                 ["a1 78"] = "expected integer at byte 0, got string",
                 ["cb 00 00 00 00 00 00 00 00"] = "got float" }
  for doc, want in pairs(ints) do
    local v, err = load(unhex(doc)):read_int()
    check(v == nil and err:find(want, 1, true), "%s", tostring(err))
    check(reader.pos == 0, "the position moved")
  end

  for name in pairs { read_array = 1, read_map = 1, read_str = 1 } do
    local v, err = load("\192")[name](reader)
    check(v == nil and err:find("got nil (0xc0)", 1, true), "%s", err)
  end
end)


case("arguments", function()
  local t = {}
  check(load(encode { 1, 2, 3, 4, "x" }):read_args(t) == 5, "five")
  check(same(t, { 1, 2, 3, 4, "x", n = 5 }), "five")
  check(load(encode { null, "a", null, { null } }):read_args(t) == 4, "four")
  check(same(t, { nil, "a", nil, { null }, n = 4 }), "four")
  check(select("#", unpack(t, 1, 4)) == 4, "unpack")
  check(load("\144"):read_args(t) == 0 and same(t, { n = 0 }), "none")
  load(encode { null, null, null, "z" }):read_args(t)
  local n, err = load(unhex "93 01 02 c1"):read_args(t)
  check(n == nil and err:find("byte 3", 1, true), "%s", tostring(err))
  check(reader.pos == 0, "the position moved")
  load(encode { 1 }):read_args(t)
  check(same(t, { 1, n = 1 }), "after a failure")
  check(load("\161a"):read_args(t) == nil, "a string")
end)


case("buffers grow and are reused", function()
  local b = msgpack.new_buffer(1)
  local parts = {}
  for i = 1, 2000 do
    parts[i] = encode("part " .. i)
    b:put_str("part " .. i)
    check(b.len <= b.cap, "len %d of %d", b.len, b.cap)
  end

  check(b:tostring() == table.concat(parts), "content")
  local cap, data = b.cap, b.data
  b:reset()
  check(b.len == 0 and b:tostring() == "", "reset")
  b:reserve(cap)
  check(b.cap == cap and b.data == data, "it grew for nothing")
  b:put_u8(7)
  b:reserve(cap)
  check(b.cap == 2 * cap and b.data[0] == 7, "it did not double")
  b:put_nil()
  b:put_bool(true)
  b:put_bool(false)
  b:put_number(1)
  b:put_array(1)
  b:put_map(1)
  check(b:tostring() == unhex "07 c0 c3 c2 01 91 81", "typed writes")
end)


local PARTS = {
  "kongring.msgpack", "kongring.msgpack_buffer", "kongring.msgpack_reader",
  "kongring.msgpack_values", "kongring.msgpack_writer",
}


-- Loads the codec once more, with another cjson or, for nil, without one.
local function load_with(cjson)
  local loaded = package.loaded["cjson.safe"]
  package.loaded["cjson.safe"] = cjson
  package.preload["cjson.safe"] = function()
    error("absent")
  end

  local before = {}
  for _, name in ipairs(PARTS) do
    before[name], package.loaded[name] = package.loaded[name], nil
  end
  local other = require "kongring.msgpack"
  for name, part in pairs(before) do
    package.loaded[name] = part
  end
  package.loaded["cjson.safe"] = loaded
  package.preload["cjson.safe"] = nil
  return other
end


case("without cjson", function()
  local other = load_with(nil)
  local b, r = other.new_buffer(64), other.new_reader()
  check(type(other.null) == "cdata" and other.null == nil, "null")
  b:put_value({ other.null, 1, { a = other.null } })
  check(b:tostring() == unhex "93 c0 01 81 a1 61 c0", "%s", hex(b:tostring()))
  r:set(b.data, b.len)
  local ok, v = r:read_value()
  check(ok and #v == 3 and v[1] == other.null and v[3].a == other.null,
        "it is read otherwise")
  for _, doc in ipairs { "\129\192\1", "\129\0\1", "\129\161a\1" } do
    r:set(ffi.cast("uint8_t *", doc), #doc)
    ok = r:read_value()
    check(ok == (doc:byte(2) ~= 0xc0), "key in %s", hex(doc))
  end
end)


-- OpenResty's cjson, of which Debian's has only null.
case("cjson's marks", function()
  local stub = {
    null = null, array_mt = {}, empty_array_mt = {},
    empty_array = debug.upvalueid(check, 1),
  }
  local other = load_with(stub)
  local b, r = other.new_buffer(64), other.new_reader()
  b:put_value(stub.empty_array)
  b:put_value(setmetatable({}, stub.empty_array_mt))
  b:put_value(setmetatable({ 1 }, stub.empty_array_mt))
  b:put_value(setmetatable({ a = 1 }, stub.empty_array_mt))
  b:put_value(setmetatable({}, stub.array_mt))
  b:put_value(stub.null)
  check(b:tostring() == unhex "90 90 91 01 81 a1 61 01 90 c0", "%s",
        hex(b:tostring()))
  r:set(b.data, b.len)
  local _, v = r:read_value()
  check(getmetatable(v) == stub.array_mt and other.array_mt == stub.array_mt,
        "array_mt is not cjson's")
end)


print("all passed")
