--- Host names to addresses by the C library, so by /etc/hosts and DNS alike.
--
-- The call blocks the worker. That is acceptable here because names are
-- resolved once per process: those of services while the configuration is
-- loaded, those given to `kong.service.set_target` when first used.


local ffi = require "ffi"


local error = error
local C = ffi.C


ffi.cdef [[
struct kong_host_addrinfo {
  int flags;
  int family;
  int socktype;
  int protocol;
  unsigned int addrlen;
  unsigned char *addr;
  char *canonname;
  struct kong_host_addrinfo *next;
};

int kong_host_getaddrinfo(const char *node, const char *service,
                          const struct kong_host_addrinfo *hints,
                          struct kong_host_addrinfo **res)
  __asm__("getaddrinfo");
void kong_host_freeaddrinfo(struct kong_host_addrinfo *res)
  __asm__("freeaddrinfo");
const char *kong_host_gai_strerror(int code) __asm__("gai_strerror");
const char *kong_host_inet_ntop(int af, const void *src, char *dst,
                                unsigned int size) __asm__("inet_ntop");
]]


-- Linux. The address starts at byte 4 of sockaddr_in and 8 of sockaddr_in6.
local AF_INET = 2
local AF_INET6 = 10
local SOCK_STREAM = 1
local ADDRESS_AT = { [AF_INET] = 4, [AF_INET6] = 8 }


local text_size = 64
local text = ffi.new("char[?]", text_size)
local hints = ffi.new("struct kong_host_addrinfo")
hints.socktype = SOCK_STREAM
local result = ffi.new("struct kong_host_addrinfo *[1]")


local resolved = {}


local function find_family(family)
  local info = result[0]
  while info ~= nil do
    if info.family == family then
      local from = info.addr + ADDRESS_AT[family]
      if C.kong_host_inet_ntop(family, from, text, text_size) == nil then
        error("address does not fit its buffer")
      end
      return ffi.string(text)
    end
    info = info.next
  end
end


local _M = {}


--- @tparam string host a name or an address
-- @treturn string an address, IPv4 where there is one; IPv6 in brackets, as
-- nginx wants it. Or nil and an error.
function _M.resolve(host)
  local address = resolved[host]
  if address then
    return address
  end

  local rc = C.kong_host_getaddrinfo(host, nil, hints, result)
  if rc ~= 0 then
    return nil, "failed to resolve " .. host .. ": " ..
                ffi.string(C.kong_host_gai_strerror(rc))
  end

  address = find_family(AF_INET)
  if not address then
    address = find_family(AF_INET6)
    address = address and "[" .. address .. "]"
  end
  C.kong_host_freeaddrinfo(result[0])

  if not address then
    return nil, "failed to resolve " .. host .. ": no IP address"
  end

  resolved[host] = address
  return address
end


return _M
