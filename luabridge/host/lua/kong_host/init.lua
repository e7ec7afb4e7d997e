--- kong_host: the parts of Kong Gateway that a plugin needs, on plain nginx.
--
-- nginx.conf makes this table the global `kong_host` and calls one function
-- of it in each phase.


local runloop = require "kong_host.runloop"
local startup = require "kong_host.startup"
local upstream = require "kong_host.upstream"


return {
  init = startup.init,
  init_worker = startup.init_worker,
  exit_worker = startup.exit_worker,
  certificate = runloop.certificate,
  rewrite = runloop.rewrite,
  access = runloop.access,
  balancer = upstream.balance,
  header_filter = runloop.header_filter,
  body_filter = runloop.body_filter,
  log = runloop.log,
}
