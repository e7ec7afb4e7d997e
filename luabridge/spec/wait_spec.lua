-- What kongring.session_wait does with a server that never stops. Run by
-- ring_test.go; prints a line "ok NAME" or "not ok NAME: why" each.

local cases = require "spec.cases"


local clock, turns = 0, 0
package.loaded["kongring.sys"] = { now = function() return clock end }
package.loaded["kongring.turn"] = { keep_awake = function() end }
package.loaded["kongring.timer"] = {}
package.loaded["ngx.semaphore"] = {}
_G.ngx = { sleep = function() end }
local wait = require "kongring.session_wait"


local case, equal = cases.case, cases.equal


-- a session whose server answers at once, always
local function session()
  local self = setmetatable({
    unpaid = 0, skipped = 0, streak = 0, open_count = 1, waiters = 0,
    ticks_per_us = 1, looker = { post = function() end }, blind = 0,
    asleep = false, looking = false, looks = true, posted = 0,
    counters = { spins_paid = 0, spins_unpaid = 0 },
  }, { __index = wait })
  self.inn = { spin = function() return true end }
  self.wake_server = function() return false end
  self.take = function(_, slot)
    slot.type = 5
    return true
  end
  self.drain = self.take
  self.rest_over = function() self.waiters = 0 end
  self.yield = function(_, slot) -- a turn of nginx's loop
    turns, clock = turns + 1, clock + 0.001
    slot.type = 5
    return true
  end
  return self
end


case("a server that answers at once does not keep the worker", function()
  local self, slot = session(), { type = false, deadline = 100 }
  for _ = 1, 10000 do
    equal(5, self:await(slot, 1))
  end
  assert(turns >= 30, turns .. " turns of the loop in 10000 answers")
  assert(turns <= 200, turns .. " turns of the loop in 10000 answers")
end)


cases.finish()
