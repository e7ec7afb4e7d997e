--- Watches LuaJIT's compiler for the test of the hot path.
--
-- Answers /traces with what became of the traces that start in the bridge's
-- files since the question before: a line "started N", a line "compiled FILE"
-- for each file with a root trace that is kept, and a line for each trace that
-- was given up or leads back into the interpreter; but for those on the way out
-- of the event's pcall, which are known to: only returns are left there.
--
-- @module kong.plugins.traces.handler


local util = require "jit.util"


local has_names, vmdef = pcall(require, "jit.vmdef")


local OURS = "/kongring/([%w_]+%.lua)$"


local OUT_OF_PCALL = "NYI: return to lower frame at event.lua"


local way_out = {} -- traces that were given up there
local start -- where the trace that is being made starts
local started, compiled, lines = 0, {}, {}


local function place(func, pc)
  local info = util.funcinfo(func, pc)
  local file = info.source and info.source:match(OURS)
  return file and file .. ":" .. (info.currentline or 0), file
end


local function reason(err)
  return has_names and type(err) == "number" and vmdef.traceerr[err] or
             tostring(err)
end


local function watch(what, number, func, pc, a, b)
  if what == "start" then
    local at, file = place(func, pc)
    start = at and {
      at = at, file = file, root = not a,
      id = tostring(a) .. "/" .. tostring(b), -- trace and exit before it
    }
    if start then
      started = started + 1
    end
  elseif start and what == "abort" then
    local why = reason(a) .. " at " .. (place(func, pc) or "foreign code")
    if why:sub(1, #OUT_OF_PCALL) == OUT_OF_PCALL then
      way_out[start.id] = true
    else
      lines[#lines + 1] = start.at .. " given up: " .. why
    end
    start = nil
  elseif start and what == "stop" then
    local info = util.traceinfo(number)
    if info.linktype == "interpreter" and not way_out[start.id] then
      lines[#lines + 1] = start.at .. " leads back into the interpreter"
    elseif start.root and info.linktype ~= "interpreter" then
      compiled[start.file] = true
    end
    start = nil
  end
end


return {
  PRIORITY = 1,
  VERSION = "0.1",

  init_worker = function()
    jit.attach(watch, "trace")
  end,

  access = function()
    local text = { "started " .. started }
    for file in pairs(compiled) do
      text[#text + 1] = "compiled " .. file
    end
    for _, line in ipairs(lines) do
      text[#text + 1] = line
    end
    started, lines = 0, {}
    return kong.response.exit(200, table.concat(text, "\n"))
  end,
}
