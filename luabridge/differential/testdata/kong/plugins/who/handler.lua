-- Runs before the plugins of the differential test: says who asks, and leaves
-- values that cannot be sent along with an event.


local BIG = string.rep("0123456789abcdef", 2048)


return {
  PRIORITY = 1000,
  VERSION = "0.1",

  access = function()
    kong.ctx.shared["function"] = function() end
    kong.ctx.shared.big = BIG
    if kong.request.get_method() ~= "GET" then
      kong.client.authenticate({
        id = "5f3a7f0e-6d0f-4e8c-9f2a-2f9a4a3c1b7d", username = "who",
        created_at = 1700000000, tags = { "a", "b" },
      }, { id = "credential", consumer_id = "who" })
    end
  end,
}
