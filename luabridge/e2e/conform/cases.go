package conform

import (
	"encoding/json"
	"time"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/client"
	"github.com/kongring/kongring/server/pdk/entities"
	"github.com/kongring/kongring/server/pdk/log"
	"github.com/kongring/kongring/server/pdk/request"
	"github.com/kongring/kongring/server/pdk/vault"
)

type (
	table   = map[string]interface{}
	array   = []interface{}
	headers = map[string][]string
)

// text is for results that JSON would write in base64.
func text(b []byte, err error) (string, error) { return string(b), err }

func parsed(body interface{}, mimetype string, err error) (array, error) {
	return array{body, mimetype}, err
}

// cases are the questions, by package of the PDK.
var cases = concat(requestCases, responseCases, serviceCases, serviceRequestCases, serviceResponseCases,
	clientCases, contextCases, logCases, otherCases)

func concat(lists ...[]testCase) (all []testCase) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

var requestCases = []testCase{
	get("Request.GetScheme", func(k *pdk.PDK) (string, error) { return k.Request.GetScheme() }, lua("kong.request.get_scheme")),
	get("Request.GetHost", func(k *pdk.PDK) (string, error) { return k.Request.GetHost() }, lua("kong.request.get_host")),
	get("Request.GetPort", func(k *pdk.PDK) (int, error) { return k.Request.GetPort() }, lua("kong.request.get_port")),
	get("Request.GetForwardedScheme", func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedScheme() },
		lua("kong.request.get_forwarded_scheme")),
	get("Request.GetForwardedHost", func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedHost() },
		lua("kong.request.get_forwarded_host")),
	get("Request.GetForwardedPort", func(k *pdk.PDK) (int, error) { return k.Request.GetForwardedPort() },
		lua("kong.request.get_forwarded_port")),
	get("Request.GetForwardedPath", func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedPath() },
		lua("kong.request.get_forwarded_path")),
	get("Request.GetForwardedPrefix", func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedPrefix() },
		lua("kong.request.get_forwarded_prefix")),
	get("Request.GetHttpVersion", func(k *pdk.PDK) (float64, error) { return k.Request.GetHttpVersion() },
		lua("kong.request.get_http_version")),
	get("Request.GetMethod", func(k *pdk.PDK) (string, error) { return k.Request.GetMethod() }, lua("kong.request.get_method")),
	get("Request.GetPath", func(k *pdk.PDK) (string, error) { return k.Request.GetPath() }, lua("kong.request.get_path")),
	get("Request.GetRawPath", func(k *pdk.PDK) (string, error) { return k.Request.GetRawPath() }, lua("kong.request.get_raw_path")),
	get("Request.GetPathWithQuery", func(k *pdk.PDK) (string, error) { return k.Request.GetPathWithQuery() },
		lua("kong.request.get_path_with_query")),
	get("Request.GetRawQuery", func(k *pdk.PDK) (string, error) { return k.Request.GetRawQuery() }, lua("kong.request.get_raw_query")),
	get("Request.GetQueryArg", func(k *pdk.PDK) (string, error) { return k.Request.GetQueryArg("a") },
		lua("kong.request.get_query_arg", "a")),
	get("Request.GetQueryArg", func(k *pdk.PDK) (string, error) { return k.Request.GetQueryArg("flag") },
		lua("kong.request.get_query_arg", "flag")),
	get("Request.GetQueryArg", func(k *pdk.PDK) (string, error) { return k.Request.GetQueryArg("none") },
		lua("kong.request.get_query_arg", "none")),
	get("Request.GetQuery", func(k *pdk.PDK) (headers, error) { return k.Request.GetQuery(-1) }, lua("kong.request.get_query", 100)),
	get("Request.GetQuery", func(k *pdk.PDK) (headers, error) { return k.Request.GetQuery(1) }, lua("kong.request.get_query", 1)),
	get("Request.GetHeader", func(k *pdk.PDK) (string, error) { return k.Request.GetHeader("X_Twice") },
		lua("kong.request.get_header", "X_Twice")),
	get("Request.GetHeader", func(k *pdk.PDK) (string, error) { return k.Request.GetHeader("x-none") },
		lua("kong.request.get_header", "x-none")),
	get("Request.GetHeaders", func(k *pdk.PDK) (headers, error) { return k.Request.GetHeaders(-1) },
		lua("kong.request.get_headers", 100)),
	get("Request.GetRawBody", func(k *pdk.PDK) (string, error) { return text(k.Request.GetRawBody()) },
		lua("kong.request.get_raw_body")),
	get("Request.GetRawBodyUpTo", func(k *pdk.PDK) (string, error) { return text(k.Request.GetRawBodyUpTo(10)) },
		lua("kong.request.get_raw_body", 10)),
	get("Request.GetBody", func(k *pdk.PDK) (array, error) { return parsed(k.Request.GetBody(request.BodyOptions{})) },
		lua("kong.request.get_body")),
	get("Request.GetBody", func(k *pdk.PDK) (array, error) { return parsed(k.Request.GetBody(request.BodyOptions{MaxArgs: 1})) },
		lua("kong.request.get_body", nil, 1)),
	get("Request.GetBody", func(k *pdk.PDK) (array, error) {
		return parsed(k.Request.GetBody(request.BodyOptions{MimeType: "application/json"}))
	}, lua("kong.request.get_body", "application/json")),
	get("Request.GetUriCaptures", func(k *pdk.PDK) (array, error) {
		unnamed, named, err := k.Request.GetUriCaptures()
		list, byName := array{}, table{}
		for _, b := range unnamed {
			list = append(list, string(b))
		}
		for name, b := range named {
			byName[name] = string(b)
		}
		return array{list, byName}, err
	}, lua("kong.request.get_uri_captures")),
	get("Request.GetStartTime", func(k *pdk.PDK) (int, error) { return k.Request.GetStartTime() },
		lua("kong.request.get_start_time")).varying(),
}

var responseCases = []testCase{
	get("Response.GetStatus", func(k *pdk.PDK) (int, error) { return k.Response.GetStatus() }, lua("kong.response.get_status")),
	get("Response.GetHeader", func(k *pdk.PDK) (string, error) { return k.Response.GetHeader("X_Upstream_Path") },
		lua("kong.response.get_header", "X_Upstream_Path")),
	get("Response.GetHeaders", func(k *pdk.PDK) (headers, error) { return k.Response.GetHeaders(-1) },
		lua("kong.response.get_headers", 100)),
	get("Response.GetSource", func(k *pdk.PDK) (string, error) { return k.Response.GetSource() }, lua("kong.response.get_source")),
	set("Response.SetStatus", func(k *pdk.PDK) error { return k.Response.SetStatus(202) }, lua("kong.response.set_status", 202)),
	set("Response.SetHeader", func(k *pdk.PDK) error { return k.Response.SetHeader("x-set", "1") },
		lua("kong.response.set_header", "x-set", "1")),
	set("Response.SetHeader", func(k *pdk.PDK) error { return k.Response.SetHeader("x-empty", "") },
		lua("kong.response.set_header", "x-empty", "")),
	set("Response.SetHeaderValues", func(k *pdk.PDK) error { return k.Response.SetHeaderValues("x-set", "1", "2") },
		lua("kong.response.set_header", "x-set", array{"1", "2"})),
	set("Response.AddHeader", func(k *pdk.PDK) error { return k.Response.AddHeader("x-upstream-path", "2") },
		lua("kong.response.add_header", "x-upstream-path", "2")),
	set("Response.AddHeaderValues", func(k *pdk.PDK) error { return k.Response.AddHeaderValues("x-set", "1", "2") },
		lua("kong.response.add_header", "x-set", array{"1", "2"})),
	set("Response.ClearHeader", func(k *pdk.PDK) error { return k.Response.ClearHeader("x-upstream-path") },
		lua("kong.response.clear_header", "x-upstream-path")),
	set("Response.SetHeaders", func(k *pdk.PDK) error {
		return k.Response.SetHeaders(headers{"x-a": {"1"}, "x-b": {"2", "3"}, "x-upstream-path": {}})
	}, lua("kong.response.set_headers", table{"x-a": array{"1"}, "x-b": array{"2", "3"}, "x-upstream-path": array{}})),
	set("Response.Exit", func(k *pdk.PDK) error {
		k.Response.Exit(418, []byte("short"), headers{"x-exit": {"yes"}})
		return nil
	}, lua("kong.response.exit", 418, "short", table{"x-exit": "yes"})),
	set("Response.ExitStatus", func(k *pdk.PDK) error { k.Response.ExitStatus(410); return nil }, lua("kong.response.exit", 410)),
	set("Response.Error", func(k *pdk.PDK) error { k.Response.Error(503, "later", headers{"retry-after": {"9"}}); return nil },
		lua("kong.response.error", 503, "later", table{"retry-after": "9"})),
	set("Response.Error", func(k *pdk.PDK) error { k.Response.Error(404, "", nil); return nil }, lua("kong.response.error", 404)),
}

var serviceCases = []testCase{
	set("Service.SetUpstream", func(k *pdk.PDK) error { return k.Service.SetUpstream("other") },
		lua("kong.service.set_upstream", "other")),
	set("Service.SetUpstream", func(k *pdk.PDK) error { return k.Service.SetUpstream("none") },
		lua("kong.service.set_upstream", "none")),
	set("Service.SetTarget", func(k *pdk.PDK) error { return k.Service.SetTarget("127.0.0.1", 1) },
		lua("kong.service.set_target", "127.0.0.1", 1)),
	set("Service.SetRetries", func(k *pdk.PDK) error { return k.Service.SetRetries(1) }, lua("kong.service.set_retries", 1)),
	set("Service.SetTimeouts", func(k *pdk.PDK) error { return k.Service.SetTimeouts(time.Second, 2*time.Second, 30*time.Second) },
		lua("kong.service.set_timeouts", 1000, 2000, 30000)),
	set("Service.SetTlsVerify", func(k *pdk.PDK) error { return k.Service.SetTlsVerify(false) },
		lua("kong.service.set_tls_verify", false)),
	set("Service.SetTlsVerifyDepth", func(k *pdk.PDK) error { return k.Service.SetTlsVerifyDepth(2) },
		lua("kong.service.set_tls_verify_depth", 2)),
}

var serviceRequestCases = []testCase{
	set("ServiceRequest.SetScheme", func(k *pdk.PDK) error { return k.ServiceRequest.SetScheme("http") },
		lua("kong.service.request.set_scheme", "http")),
	set("ServiceRequest.SetPath", func(k *pdk.PDK) error { return k.ServiceRequest.SetPath("/p q") },
		lua("kong.service.request.set_path", "/p q")),
	get("ServiceRequest.SetRawQuery", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetRawQuery("z=%20&y"); err != nil {
			return "", err
		}
		return k.Request.GetRawQuery()
	}, lua("kong.service.request.set_raw_query", "z=%20&y"), lua("kong.request.get_raw_query")),
	get("ServiceRequest.SetQuery", func(k *pdk.PDK) (headers, error) {
		if err := k.ServiceRequest.SetQuery(headers{"b": {"1", "2"}, "a": {"x y"}}); err != nil {
			return nil, err
		}
		return k.Request.GetQuery(-1)
	}, lua("kong.service.request.set_query", table{"b": array{"1", "2"}, "a": "x y"}), lua("kong.request.get_query", 100)),
	get("ServiceRequest.ClearQueryArg", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.ClearQueryArg("a"); err != nil {
			return "", err
		}
		return k.Request.GetRawQuery()
	}, lua("kong.service.request.clear_query_arg", "a"), lua("kong.request.get_raw_query")),
	get("ServiceRequest.SetMethod", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetMethod("PUT"); err != nil {
			return "", err
		}
		return k.Request.GetMethod()
	}, lua("kong.service.request.set_method", "PUT"), lua("kong.request.get_method")),
	get("ServiceRequest.SetHeader", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetHeader("x-twice", "3"); err != nil {
			return "", err
		}
		return k.Request.GetHeader("x-twice")
	}, lua("kong.service.request.set_header", "x-twice", "3"), lua("kong.request.get_header", "x-twice")),
	get("ServiceRequest.SetHeader", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetHeader("Host", "h.test"); err != nil {
			return "", err
		}
		return k.Request.GetHost()
	}, lua("kong.service.request.set_header", "Host", "h.test"), lua("kong.request.get_host")),
	set("ServiceRequest.SetHeaderValues", func(k *pdk.PDK) error { return k.ServiceRequest.SetHeaderValues("x-set", "1", "2") },
		lua("kong.service.request.set_header", "x-set", array{"1", "2"})),
	get("ServiceRequest.AddHeader", func(k *pdk.PDK) (headers, error) {
		if err := k.ServiceRequest.AddHeader("x-twice", "3"); err != nil {
			return nil, err
		}
		return k.Request.GetHeaders(-1)
	}, lua("kong.service.request.add_header", "x-twice", "3"), lua("kong.request.get_headers", 100)),
	set("ServiceRequest.AddHeaderValues", func(k *pdk.PDK) error { return k.ServiceRequest.AddHeaderValues("x-set", "1", "2") },
		lua("kong.service.request.add_header", "x-set", array{"1", "2"})),
	set("ServiceRequest.ClearHeader", func(k *pdk.PDK) error { return k.ServiceRequest.ClearHeader("X-Twice") },
		lua("kong.service.request.clear_header", "X-Twice")),
	set("ServiceRequest.SetHeaders", func(k *pdk.PDK) error {
		return k.ServiceRequest.SetHeaders(headers{"x-a": {"1", "2"}, "x-twice": {}})
	}, lua("kong.service.request.set_headers", table{"x-a": array{"1", "2"}, "x-twice": array{}})),
	get("ServiceRequest.SetRawBody", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetRawBody("new body"); err != nil {
			return "", err
		}
		return text(k.Request.GetRawBody())
	}, lua("kong.service.request.set_raw_body", "new body"), lua("kong.request.get_raw_body")),
	get("ServiceRequest.SetBody", func(k *pdk.PDK) (string, error) {
		if err := k.ServiceRequest.SetBody(table{"a": array{1, true}}, "application/json"); err != nil {
			return "", err
		}
		return text(k.Request.GetRawBody())
	}, lua("kong.service.request.set_body", table{"a": array{1, true}}, "application/json"), lua("kong.request.get_raw_body")),
	set("ServiceRequest.SetBody", func(k *pdk.PDK) error { return k.ServiceRequest.SetBody(table{"a": "b"}, "text/plain") },
		lua("kong.service.request.set_body", table{"a": "b"}, "text/plain")),
	set("ServiceRequest.EnableBuffering", func(k *pdk.PDK) error { return k.ServiceRequest.EnableBuffering() },
		lua("kong.service.request.enable_buffering")),
}

var serviceResponseCases = []testCase{
	get("ServiceResponse.GetStatus", func(k *pdk.PDK) (int, error) { return k.ServiceResponse.GetStatus() },
		lua("kong.service.response.get_status")),
	get("ServiceResponse.GetHeader", func(k *pdk.PDK) (string, error) { return k.ServiceResponse.GetHeader("X_Upstream_Path") },
		lua("kong.service.response.get_header", "X_Upstream_Path")),
	get("ServiceResponse.GetHeaders", func(k *pdk.PDK) (headers, error) { return k.ServiceResponse.GetHeaders(-1) },
		lua("kong.service.response.get_headers", 100)),
	get("ServiceResponse.GetRawBody", func(k *pdk.PDK) (string, error) { return text(k.ServiceResponse.GetRawBody()) },
		lua("kong.service.response.get_raw_body")),
	get("ServiceResponse.GetBody", func(k *pdk.PDK) (array, error) {
		return parsed(k.ServiceResponse.GetBody("application/x-www-form-urlencoded", 0))
	}, lua("kong.service.response.get_body", "application/x-www-form-urlencoded")),
	get("ServiceResponse.GetBody", func(k *pdk.PDK) (array, error) { return parsed(k.ServiceResponse.GetBody("", 0)) },
		lua("kong.service.response.get_body")),
}

var clientCases = []testCase{
	get("Client.GetIp", func(k *pdk.PDK) (string, error) { return k.Client.GetIp() }, lua("kong.client.get_ip")),
	get("Client.GetForwardedIp", func(k *pdk.PDK) (string, error) { return k.Client.GetForwardedIp() },
		lua("kong.client.get_forwarded_ip")),
	get("Client.GetPort", func(k *pdk.PDK) (int, error) { return k.Client.GetPort() }, lua("kong.client.get_port")).varying(),
	get("Client.GetForwardedPort", func(k *pdk.PDK) (int, error) { return k.Client.GetForwardedPort() },
		lua("kong.client.get_forwarded_port")).varying(),
	get("Client.GetCredential", func(k *pdk.PDK) (client.AuthenticatedCredential, error) { return k.Client.GetCredential() },
		lua("kong.client.get_credential")),
	get("Client.GetConsumer", func(k *pdk.PDK) (entities.Consumer, error) { return k.Client.GetConsumer() },
		lua("kong.client.get_consumer")),
	get("Client.LoadConsumer", func(k *pdk.PDK) (entities.Consumer, error) { return k.Client.LoadConsumer("ann", true) },
		lua("kong.client.load_consumer", "ann", true)),
	get("Client.LoadConsumer", func(k *pdk.PDK) (entities.Consumer, error) { return k.Client.LoadConsumer("nobody", true) },
		lua("kong.client.load_consumer", "nobody", true)),
	get("Client.Authenticate", func(k *pdk.PDK) (entities.Consumer, error) {
		consumer := &entities.Consumer{Id: "c", Username: "u", Tags: []string{"t"}}
		if err := k.Client.Authenticate(consumer, &client.AuthenticatedCredential{Id: "i", ConsumerId: "c"}); err != nil {
			return entities.Consumer{}, err
		}
		return k.Client.GetConsumer()
	}, lua("kong.client.authenticate", table{"id": "c", "username": "u", "tags": array{"t"}},
		table{"id": "i", "consumer_id": "c"}), lua("kong.client.get_consumer")),
	get("Client.Authenticate", func(k *pdk.PDK) (client.AuthenticatedCredential, error) {
		if err := k.Client.Authenticate(nil, &client.AuthenticatedCredential{Id: "i", ConsumerId: "c"}); err != nil {
			return client.AuthenticatedCredential{}, err
		}
		return k.Client.GetCredential()
	}, lua("kong.client.authenticate", nil, table{"id": "i", "consumer_id": "c"}), lua("kong.client.get_credential")),
	get("Client.GetProtocol", func(k *pdk.PDK) (string, error) { return k.Client.GetProtocol(false) },
		lua("kong.client.get_protocol", false)),
	get("Client.GetProtocol", func(k *pdk.PDK) (string, error) { return k.Client.GetProtocol(true) },
		lua("kong.client.get_protocol", true)),
	set("Client.TLS.RequestClientCertificate", func(k *pdk.PDK) error { return k.Client.TLS().RequestClientCertificate() },
		lua("kong.client.tls.request_client_certificate")),
	set("Client.TLS.DisableSessionReuse", func(k *pdk.PDK) error { return k.Client.TLS().DisableSessionReuse() },
		lua("kong.client.tls.disable_session_reuse")),
	get("Client.TLS.GetFullClientCertificateChain", func(k *pdk.PDK) (string, error) {
		return k.Client.TLS().GetFullClientCertificateChain()
	}, lua("kong.client.tls.get_full_client_certificate_chain")),
	get("Client.TLS.SetClientVerify", func(k *pdk.PDK) (string, error) {
		if err := k.Client.TLS().SetClientVerify("FAILED:x"); err != nil {
			return "", err
		}
		return k.Nginx.GetCtxString("CLIENT_VERIFY_OVERRIDE")
	}, lua("kong.client.tls.set_client_verify", "FAILED:x"), lua("kong.nginx.get_ctx", "CLIENT_VERIFY_OVERRIDE")),
}

// value is one of each type that Lua and Go share.
var value = table{"list": array{1, "two", true}, "map": table{"x": 1.5}}

var contextCases = []testCase{
	get("Ctx.SetShared", func(k *pdk.PDK) (interface{}, error) {
		if err := k.Ctx.SetShared("conform", value); err != nil {
			return nil, err
		}
		return k.Ctx.GetSharedAny("conform")
	}, lua("kong.ctx.shared.set", "conform", value), lua("kong.ctx.shared.get", "conform")),
	get("Ctx.GetSharedAny", func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetSharedAny("none") },
		lua("kong.ctx.shared.get", "none")),
	get("Ctx.GetSharedString", func(k *pdk.PDK) (string, error) {
		if err := k.Ctx.SetShared("conform", "text"); err != nil {
			return "", err
		}
		return k.Ctx.GetSharedString("conform")
	}, lua("kong.ctx.shared.set", "conform", "text"), lua("kong.ctx.shared.get", "conform")),
	get("Ctx.GetSharedFloat", func(k *pdk.PDK) (float64, error) {
		if err := k.Ctx.SetShared("conform", 7); err != nil {
			return 0, err
		}
		return k.Ctx.GetSharedFloat("conform")
	}, lua("kong.ctx.shared.set", "conform", 7), lua("kong.ctx.shared.get", "conform")),
	get("Ctx.SetPlugin", func(k *pdk.PDK) (interface{}, error) {
		if err := k.Ctx.SetPlugin("conform", value); err != nil {
			return nil, err
		}
		return k.Ctx.GetPluginAny("conform")
	}, lua("kong.ctx.plugin.set", "conform", value), lua("kong.ctx.plugin.get", "conform")),
	get("Ctx.GetPluginAny", func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetPluginAny("none") },
		lua("kong.ctx.plugin.get", "none")),
	get("Ctx.GetPluginString", func(k *pdk.PDK) (string, error) {
		if err := k.Ctx.SetPlugin("conform", "text"); err != nil {
			return "", err
		}
		return k.Ctx.GetPluginString("conform")
	}, lua("kong.ctx.plugin.set", "conform", "text"), lua("kong.ctx.plugin.get", "conform")),
	get("Ctx.GetPluginFloat", func(k *pdk.PDK) (float64, error) {
		if err := k.Ctx.SetPlugin("conform", 7); err != nil {
			return 0, err
		}
		return k.Ctx.GetPluginFloat("conform")
	}, lua("kong.ctx.plugin.set", "conform", 7), lua("kong.ctx.plugin.get", "conform")),
	get("Nginx.SetCtx", func(k *pdk.PDK) (interface{}, error) {
		if err := k.Nginx.SetCtx("conform", value); err != nil {
			return nil, err
		}
		return k.Nginx.GetCtxAny("conform")
	}, lua("kong.nginx.set_ctx", "conform", value), lua("kong.nginx.get_ctx", "conform")),
	get("Nginx.GetCtxAny", func(k *pdk.PDK) (interface{}, error) { return k.Nginx.GetCtxAny("none") },
		lua("kong.nginx.get_ctx", "none")),
	get("Nginx.GetCtxString", func(k *pdk.PDK) (string, error) { return k.Nginx.GetCtxString("plugin_id") },
		lua("kong.nginx.get_ctx", "plugin_id")).varying(),
	get("Nginx.GetCtxFloat", func(k *pdk.PDK) (float64, error) { return k.Nginx.GetCtxFloat("KONG_PHASE") },
		lua("kong.nginx.get_ctx", "KONG_PHASE")),
	get("Nginx.GetCtxInt", func(k *pdk.PDK) (int, error) { return k.Nginx.GetCtxInt("KONG_PHASE") },
		lua("kong.nginx.get_ctx", "KONG_PHASE")),
}

// logLine is a case that writes to the error log.
func logLine(name, method string, write func(log.Log, ...interface{}) error) testCase {
	return set(name, func(k *pdk.PDK) error { return write(k.Log, "conform ", 1, true, nil) }, lua(method, "conform ", 1, true, nil))
}

var logCases = []testCase{
	logLine("Log.Emerg", "kong.log.emerg", log.Log.Emerg),
	logLine("Log.Alert", "kong.log.alert", log.Log.Alert),
	logLine("Log.Crit", "kong.log.crit", log.Log.Crit),
	logLine("Log.Err", "kong.log.err", log.Log.Err),
	logLine("Log.Warn", "kong.log.warn", log.Log.Warn),
	logLine("Log.Notice", "kong.log.notice", log.Log.Notice),
	logLine("Log.Info", "kong.log.info", log.Log.Info),
	logLine("Log.Debug", "kong.log.debug", log.Log.Debug),
	get("Log.Serialize", func(k *pdk.PDK) (json.RawMessage, error) {
		s, err := k.Log.Serialize()
		return json.RawMessage(s), err
	}, lua("kong.log.serialize")).varying(),
	get("Log.SerializeMap", func(k *pdk.PDK) (table, error) { return k.Log.SerializeMap() }, lua("kong.log.serialize")).varying(),
	get("Log.SetSerializeValue", func(k *pdk.PDK) (interface{}, error) {
		if err := k.Log.SetSerializeValue("conform.a", value, log.Add); err != nil {
			return nil, err
		}
		m, err := k.Log.SerializeMap()
		return m["conform"], err
	}, lua("kong.log.set_serialize_value", "conform.a", value, table{"mode": "add"}), lua("kong.log.serialize")).picking("conform"),
	set("Log.SetSerializeValue", func(k *pdk.PDK) error { return k.Log.SetSerializeValue("conform", 1, log.Set) },
		lua("kong.log.set_serialize_value", "conform", 1, table{"mode": "set"})),
}

var otherCases = []testCase{
	get("Nginx.GetVar", func(k *pdk.PDK) (string, error) { return k.Nginx.GetVar("request_method") },
		lua("kong.nginx.get_var", "request_method")),
	get("Nginx.GetVar", func(k *pdk.PDK) (string, error) { return k.Nginx.GetVar("http_x_none") },
		lua("kong.nginx.get_var", "http_x_none")),
	get("Nginx.GetTLS1VersionStr", func(k *pdk.PDK) (string, error) { return k.Nginx.GetTLS1VersionStr() },
		lua("kong.nginx.get_tls1_version_str")),
	get("Nginx.ReqStartTime", func(k *pdk.PDK) (float64, error) { return k.Nginx.ReqStartTime() },
		lua("kong.nginx.req_start_time")).varying(),
	get("Nginx.GetSubsystem", func(k *pdk.PDK) (string, error) { return k.Nginx.GetSubsystem() }, lua("kong.nginx.get_subsystem")),
	get("IP.IsTrusted", func(k *pdk.PDK) (bool, error) { return k.IP.IsTrusted("127.0.0.1") }, lua("kong.ip.is_trusted", "127.0.0.1")),
	get("IP.IsTrusted", func(k *pdk.PDK) (bool, error) { return k.IP.IsTrusted("192.0.2.1") }, lua("kong.ip.is_trusted", "192.0.2.1")),
	get("Node.GetId", func(k *pdk.PDK) (string, error) { return k.Node.GetId() }, lua("kong.node.get_id")),
	get("Node.GetHostname", func(k *pdk.PDK) (string, error) { return k.Node.GetHostname() }, lua("kong.node.get_hostname")),
	get("Node.GetMemoryStats", func(k *pdk.PDK) (interface{}, error) { return k.Node.GetMemoryStats() },
		lua("kong.node.get_memory_stats")).varying(),
	get("Cluster.GetId", func(k *pdk.PDK) (string, error) { return k.Cluster.GetId() }, lua("kong.cluster.get_id")),
	get("Plugin.GetId", func(k *pdk.PDK) (string, error) { return k.Plugin.GetId() }, lua("kong.plugin.get_id")).varying(),
	get("Router.GetRoute", func(k *pdk.PDK) (entities.Route, error) { return k.Router.GetRoute() }, lua("kong.router.get_route")),
	get("Router.GetService", func(k *pdk.PDK) (entities.Service, error) { return k.Router.GetService() },
		lua("kong.router.get_service")),
	get("Vault.Get", func(k *pdk.PDK) (string, error) { return k.Vault.Get("{vault://env/conform-secret}") },
		lua("kong.vault.get", "{vault://env/conform-secret}")),
	get("Vault.Get", func(k *pdk.PDK) (string, error) { return k.Vault.Get("no reference") }, lua("kong.vault.get", "no reference")),
	get("Vault.IsReference", func(k *pdk.PDK) (bool, error) { return k.Vault.IsReference("{vault://env/a}") },
		lua("kong.vault.is_reference", "{vault://env/a}")),
	get("Vault.ParseReference", func(k *pdk.PDK) (vault.Reference, error) { return k.Vault.ParseReference("{vault://env/a/b?c=d}") },
		lua("kong.vault.parse_reference", "{vault://env/a/b?c=d}")),
	get("Vault.ParseReference", func(k *pdk.PDK) (vault.Reference, error) { return k.Vault.ParseReference("none") },
		lua("kong.vault.parse_reference", "none")),
}
