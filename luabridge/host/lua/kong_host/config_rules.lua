--- The keys of the declarative file, as rules for `kong_host.schema`.


local cidr = require "kong_host.cidr"
local uuid = require "kong_host.uuid"


local byte = string.byte
local find = string.find


local STRING = { type = "string" }
local STRINGS = { type = "array", elements = STRING }


local ID = {
  type = "string",
  check = function(value)
    return not uuid.is_valid(value) and "expected a UUID" or nil
  end,
}


local NAME = {
  type = "string", required = true,
  check = function(value)
    return value == "" and "expected a name" or nil
  end,
}


local PLUGIN = {
  type = "record",
  fields = {
    id = ID,
    name = NAME,
    instance_name = STRING,
    config = { type = "object" },
  },
}


local PLUGINS = { type = "array", elements = PLUGIN }


local CONSUMER = {
  type = "record",
  fields = { id = ID, username = STRING, custom_id = STRING, tags = STRINGS },
}


local SERVICE = {
  type = "record",
  fields = {
    id = ID,
    name = NAME,
    tags = STRINGS,
    plugins = PLUGINS,
    url = {
      type = "string", required = true,
      check = function(value)
        return not find(value, "^https?://[^/?#]+[^?#]*$")
               and "expected http[s]://host[:port][/path]" or nil
      end,
    },
  },
}


local UPSTREAM = {
  type = "record",
  fields = {
    id = ID,
    name = NAME,
    tags = STRINGS,
    target = {
      type = "string", required = true,
      check = function(value)
        return not find(value, "^[^:@/%s]+:%d+$") and "expected host:port"
               or nil
      end,
    },
  },
}


local RESPOND = {
  type = "record",
  fields = {
    status = { type = "integer", min = 200, max = 599, default = 200 },
    body = { type = "string", default = '{"message":"ok"}' },
    content_type = {
      type = "string", default = "application/json; charset=utf-8",
    },
  },
}


local PATH = {
  type = "string",
  check = function(value)
    return byte(value) ~= 47 --[[ / ]] and "expected a path that starts with /"
           or nil
  end,
}


local METHOD = {
  type = "string",
  check = function(value)
    return not find(value, "^%u+$") and "expected a method in upper case"
           or nil
  end,
}


local ROUTE = {
  type = "record",
  fields = {
    id = ID,
    name = NAME,
    tags = STRINGS,
    plugins = PLUGINS,
    paths = { type = "array", elements = PATH },
    hosts = STRINGS,
    methods = { type = "array", elements = METHOD },
    protocols = {
      type = "array",
      elements = { type = "string", one_of = { "http", "https" } },
    },
    strip_path = { type = "boolean", default = true },
    preserve_host = { type = "boolean", default = false },
    service = STRING,
    respond = RESPOND,
  },
}


local TRUSTED_IP = {
  type = "string",
  check = function(value)
    return not cidr.is_valid(value) and "expected an IP address or CIDR block"
           or nil
  end,
}


local DOCUMENT = {
  type = "record",
  fields = {
    trusted_ips = { type = "array", elements = TRUSTED_IP },
    consumers = { type = "array", elements = CONSUMER },
    plugins = { type = "array", elements = NAME },
    services = { type = "array", elements = SERVICE },
    upstreams = { type = "array", elements = UPSTREAM },
    routes = { type = "array", elements = ROUTE },
    global_plugins = PLUGINS,
  },
}


return { DOCUMENT = DOCUMENT, RESPOND = RESPOND }
