--- Runs the access handler of another plugin over and over, and times it.
--
-- Purpose: the cost of one event inside nginx, without a load generator and
-- without what a request costs. The whole loop is one request, which answers
-- with nanoseconds per event. A handler that answers the request itself, since
-- it failed, thereby ends the loop.
--
-- The config: `plugin` to run, `seconds` to take, and what that plugin wants.
--
-- Called by: the host's run loop. Phases: access.
--
-- @module kong.plugins.calls-loop.handler


local C = require("kongring.helper").C


local now = ngx.now
local update_time = ngx.update_time


-- seconds that a piece takes at least
local PIECE = 0.002


-- The helper's clock and the system's at one moment: ngx.now counts whole
-- milliseconds, so this waits for the next to begin.
local function clock()
  update_time()
  local last = now()
  repeat
    update_time()
  until now() ~= last
  return { ticks = C.kongring_ticks(), seconds = now() }
end


-- gives the ticks that so many events took
local function piece(handler, conf, events)
  local access = handler.access
  local from = C.kongring_ticks()
  for _ = 1, events do
    access(handler, conf)
  end
  return C.kongring_ticks() - from
end


-- Finds how many events make a piece. What has to warm up does so meanwhile:
-- the JIT compiler, the profile of values that travel along, the waiting.
local function size(handler, conf)
  local events, took = 1, 0
  while took < PIECE and events < 2 ^ 20 do
    events = events * 2
    update_time()
    local from = now()
    piece(handler, conf, events)
    update_time()
    took = now() - from
  end
  return events
end


return {
  PRIORITY = 10,
  VERSION = "0.1",

  access = function(_, conf)
    local handler = require("kong.plugins." .. conf.plugin .. ".handler")
    local events = size(handler, conf)

    local pieces, n = {}, 0
    local from = clock()
    repeat
      n = n + 1
      pieces[n] = piece(handler, conf, events)
      update_time()
    until now() - from.seconds >= conf.seconds
    local to = clock()

    -- the median is not touched by pieces in which somebody else had the core
    table.sort(pieces)
    local ticks = pieces[math.floor(n / 2) + 1] / events
    local per_ns = (to.ticks - from.ticks) / (to.seconds - from.seconds) / 1e9
    return kong.response.exit(200, string.format("%.2f", ticks / per_ns))
  end,
}
