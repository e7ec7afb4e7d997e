--- Which `kong.*` functions may be called in which phase of a request.
--
-- The current phase is `ngx.ctx.KONG_PHASE`, which `kong_host.runloop` sets
-- when it enters a phase. Names and numbers are those of Kong 3.9, because
-- plugins can read `ngx.ctx.KONG_PHASE` too; the numbers are single bits, so a
-- set of phases is their sum.


local bit = require "bit"


local ngx = ngx
local band = bit.band
local bor = bit.bor
local concat = table.concat
local error = error
local get_phase = ngx.get_phase
local ipairs = ipairs


-- In the order in which error messages list them.
local NAMES = {
  "init_worker", "certificate", "rewrite", "access", "balancer", "response",
  "header_filter", "body_filter", "log", "preread", "error", "admin_api",
}


local PHASES = {
  init_worker   = 0x00000001,
  certificate   = 0x00000002,
  rewrite       = 0x00000010,
  access        = 0x00000020,
  balancer      = 0x00000040,
  response      = 0x00000080,
  header_filter = 0x00000200,
  body_filter   = 0x00000400,
  log           = 0x00002000,
  preread       = 0x00004000,
  error         = 0x01000000,
  admin_api     = 0x10000000,
}


local function list(set)
  local names = {}
  for _, name in ipairs(NAMES) do
    if band(set, PHASES[name]) ~= 0 then
      names[#names + 1] = name
    end
  end
  return concat(names, ", ")
end


local function name_of(phase)
  return phase and list(phase) or "unknown"
end


local function set_of(...)
  local set = 0
  for _, name in ipairs({ ... }) do
    set = bor(set, PHASES[name])
  end
  return set
end


-- Kong's own content handlers are the admin API, and there the phase is not
-- in the context.
local function phase_outside_runloop()
  return get_phase() == "content" and PHASES.admin_api or nil
end


local _M = {
  PHASES = PHASES,

  REQUEST = set_of("rewrite", "access", "balancer", "response",
                   "header_filter", "body_filter", "log", "error",
                   "admin_api"),
  BODY = set_of("rewrite", "access", "response", "error", "admin_api"),
  RESPONSE_READ = set_of("response", "header_filter", "body_filter", "log",
                         "error", "admin_api"),
  RESPONSE_WRITE = set_of("rewrite", "access", "balancer", "response",
                          "header_filter", "error", "admin_api"),
  SERVICE_RESPONSE = set_of("response", "header_filter", "body_filter",
                            "log"),
  AUTHENTICATED = set_of("access", "response", "header_filter",
                         "body_filter", "log"),
  SERIALIZE_VALUE = set_of("rewrite", "access", "response",
                           "header_filter", "body_filter", "log"),
  REWRITE_ACCESS = set_of("rewrite", "access"),
  REWRITE_ACCESS_BALANCER = set_of("rewrite", "access", "balancer"),
  CERTIFICATE_CHAIN = set_of("rewrite", "access", "balancer", "response",
                             "log"),
  CLIENT_VERIFY = set_of("rewrite", "access", "balancer", "response"),
  SET_TARGET = set_of("rewrite", "access", "balancer", "preread"),
}


-- Error levels: 1 is the function itself, then check, the kong.* function,
-- and at 4 the line that called it.
local function reject(accepted, method)
  local phase = ngx.ctx.KONG_PHASE or phase_outside_runloop()
  if not phase then
    error(method .. ": no phase in ngx.ctx.KONG_PHASE, (need one of " ..
          list(accepted) .. ")", 4)
  end

  if band(phase, accepted) == 0 then
    error(method .. ": function cannot be called in " .. name_of(phase) ..
          " phase (only in: " .. list(accepted) .. ")", 4)
  end
end


--- Raises unless the current phase is in the set.
-- @tparam number accepted one of the sets above, or one of `PHASES`
-- @tparam string method the full name of the calling function
function _M.check(accepted, method)
  local phase = ngx.ctx.KONG_PHASE
  if not phase or band(phase, accepted) == 0 then
    reject(accepted, method) -- not a tail call: error levels count frames
  end
end


--- Raises if there is no request, or the current phase is in the set.
-- @tparam number rejected a set of phases
-- @tparam string method the full name of the calling function
function _M.check_not(rejected, method)
  local phase = ngx.ctx.KONG_PHASE or phase_outside_runloop()
  if not phase then
    error(method .. ": no phase in ngx.ctx.KONG_PHASE", 3)
  end

  if band(phase, rejected) ~= 0 then
    error(method .. ": function cannot be called in " .. name_of(phase) ..
          " phase (can be called in any phases except: " ..
          list(rejected) .. ")", 3)
  end
end


return _M
