--- The client's TLS connection, through the OpenSSL that nginx is linked with.


local ffi = require "ffi"
local get_request = require("resty.core.base").get_request


local C = ffi.C
local gc = ffi.gc
local new = ffi.new


-- The names are redirected, so that declarations of another module do no harm.
ffi.cdef [[
  void *kong_host_ssl_pointer(void *r)
    __asm__("ngx_http_lua_ffi_get_req_ssl_pointer");
  uint64_t kong_host_ssl_set_options(void *ssl, uint64_t options)
    __asm__("SSL_set_options");
  void *kong_host_ssl_peer(const void *ssl)
    __asm__("SSL_get1_peer_certificate");
  void *kong_host_ssl_peer_chain(const void *ssl)
    __asm__("SSL_get_peer_cert_chain");
  int kong_host_sk_num(const void *stack) __asm__("OPENSSL_sk_num");
  void *kong_host_sk_value(const void *stack, int i)
    __asm__("OPENSSL_sk_value");
  void kong_host_x509_free(void *certificate) __asm__("X509_free");
  const void *kong_host_bio_s_mem(void) __asm__("BIO_s_mem");
  void *kong_host_bio_new(const void *method) __asm__("BIO_new");
  int kong_host_bio_free(void *bio) __asm__("BIO_free");
  long kong_host_bio_ctrl(void *bio, int command, long arg, void *out)
    __asm__("BIO_ctrl");
  int kong_host_pem_write(void *bio, const void *certificate)
    __asm__("PEM_write_bio_X509");
]]


local SSL_OP_NO_TICKET = 0x4000
local BIO_CTRL_INFO = 3


local _M = {}


-- PEM text of a certificate, and of those in a stack, which may be nil
local function to_pem(certificate, stack)
  local bio = gc(C.kong_host_bio_new(C.kong_host_bio_s_mem()),
                 C.kong_host_bio_free)
  local ok = C.kong_host_pem_write(bio, certificate) == 1
  if stack ~= nil then
    for i = 0, C.kong_host_sk_num(stack) - 1 do
      ok = C.kong_host_pem_write(bio, C.kong_host_sk_value(stack, i)) == 1
           and ok
    end
  end
  if not ok then
    return nil, "failed to write a certificate"
  end
  local data = new("char *[1]")
  local length = C.kong_host_bio_ctrl(bio, BIO_CTRL_INFO, 0, data)
  return ffi.string(data[0], length)
end


--- Keeps the client from resuming this session. Sessions are resumed by tickets
-- alone, since nginx.conf has no session cache.
-- @phases certificate
-- @treturn boolean|nil
-- @treturn nil|string error
function _M.disable_session_reuse()
  local ssl = C.kong_host_ssl_pointer(get_request())
  if ssl == nil then
    return nil, "server does not have TLS enabled"
  end
  C.kong_host_ssl_set_options(ssl, SSL_OP_NO_TICKET)
  return true
end


--- @phases those of a request
-- @treturn string|nil PEM of what the client sent, its own certificate first;
-- nil when it sent none
-- @treturn nil|string error
function _M.client_certificate_chain()
  local ssl = C.kong_host_ssl_pointer(get_request())
  if ssl == nil then
    return nil, "connection is not TLS or TLS support for Nginx not enabled"
  end
  local own = C.kong_host_ssl_peer(ssl)
  if own == nil then
    return nil
  end
  return to_pem(gc(own, C.kong_host_x509_free), C.kong_host_ssl_peer_chain(ssl))
end


return _M
