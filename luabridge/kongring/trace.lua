--- Help for LuaJIT's compiler.
--
-- Purpose: what an event runs through is compiled as a few long traces, one
-- after the other, with no interpreter in between; this module and the rules
-- here keep it so.
--
-- * No `while`, and no loop that may go round only once or twice, on the way of
--   an ordinary event: the compiler takes a loop for a trace of its own, gives
--   up when it does not loop, and after some tries never compiles what leads
--   there.
-- * No tail call of a built-in function: it cannot be where a trace starts,
--   with the same end. Few others: a trace bears 15.
-- * Around foreign code a `cut`: the length of a trace has a limit, and what is
--   too long by foreign code would not be compiled at all.
-- * A `cut` before the way out of a `pcall`: a trace that begins within one
--   cannot lead out of it.
--
-- Called by: call.lua, event.lua, log_phase.lua, posted.lua, prefetch.lua,
-- session_posted.lua, session_receive.lua. Phases: all.
--
-- @module kongring.trace


local _M = {
  --- Ends the trace that is being made; the next begins behind the call. Costs
  -- about 15 ns. It is a built-in function that is quick, changes nothing and
  -- cannot be compiled. Not a Lua function around one: that would be a trace of
  -- its own, with one continuation for all its callers, and the caller that
  -- cannot be compiled would keep the others from it.
  --
  -- What follows the call is no `return` of nothing or of one local: a trace
  -- that begins at a return is tried again and again where it fails.
  -- @phases all
  -- @function cut
  cut = coroutine.running,
}


return _M
