package pdk_test

import (
	"errors"
	"time"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/client"
	"github.com/kongring/kongring/server/pdk/entities"
	"github.com/kongring/kongring/server/pdk/log"
	"github.com/kongring/kongring/server/pdk/request"
	"github.com/kongring/kongring/server/pdk/vault"
)

// Shorthands for rows of the table.
func text(call func(*pdk.PDK) (string, error), method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) { return call(k) }, method, args, "some", "some", "", 7, "expected type: string"}
}

func integer(call func(*pdk.PDK) (int, error), method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) { return call(k) }, method, args, 8000.0, 8000, 0, "x", "expected type: number"}
}

func number(call func(*pdk.PDK) (float64, error), method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) { return call(k) }, method, args, 1.25, 1.25, 0.0, "x", "expected type: number"}
}

func headers(call func(*pdk.PDK) (map[string][]string, error), method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) { return call(k) }, method, args,
		table{"a": list{"b", "c"}}, map[string][]string{"a": {"b", "c"}}, map[string][]string{}, "x", "decode headers: "}
}

func nothing(call func(*pdk.PDK) error, method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) { return nil, call(k) }, method, args, nil, nil, nil, nil, ""}
}

func parsed(call func(*pdk.PDK) (interface{}, string, error), method string, args ...interface{}) row {
	return row{func(k *pdk.PDK) (interface{}, error) {
		body, mime, err := call(k)
		return list{body, mime}, err
	}, method, args, list{table{"a": 1}, "m"}, list{table{"a": 1.0}, "m"}, list{nil, ""}, "x", "expected type: parsed body"}
}

// rows are the calls of each method of the PDK, with what they send and give.
var rows = map[string][]row{
	"Client.GetCredential": {{func(k *pdk.PDK) (interface{}, error) { return k.Client.GetCredential() },
		"kong.client.get_credential", nil, table{"id": "i", "consumer_id": "c", "key": 1},
		client.AuthenticatedCredential{Id: "i", ConsumerId: "c"}, client.AuthenticatedCredential{}, list{}, "expected type: table"}},
	"Client.GetConsumer": {{func(k *pdk.PDK) (interface{}, error) { return k.Client.GetConsumer() },
		"kong.client.get_consumer", nil,
		table{"id": "i", "created_at": 1.7e9, "username": "u", "custom_id": "c", "tags": list{"a", "b"}},
		entities.Consumer{Id: "i", CreatedAt: 1.7e9, Username: "u", CustomId: "c", Tags: []string{"a", "b"}},
		entities.Consumer{}, "x", "expected type: table"}},
	"Client.GetIp":          {text(func(k *pdk.PDK) (string, error) { return k.Client.GetIp() }, "kong.client.get_ip")},
	"Client.GetForwardedIp": {text(func(k *pdk.PDK) (string, error) { return k.Client.GetForwardedIp() }, "kong.client.get_forwarded_ip")},
	"Client.GetPort":        {integer(func(k *pdk.PDK) (int, error) { return k.Client.GetPort() }, "kong.client.get_port")},
	"Client.GetForwardedPort": {integer(func(k *pdk.PDK) (int, error) { return k.Client.GetForwardedPort() },
		"kong.client.get_forwarded_port")},
	"Client.GetProtocol": {
		text(func(k *pdk.PDK) (string, error) { return k.Client.GetProtocol(true) }, "kong.client.get_protocol", true),
		text(func(k *pdk.PDK) (string, error) { return k.Client.GetProtocol(false) }, "kong.client.get_protocol", false),
	},

	"Ctx.SetShared": {
		nothing(func(k *pdk.PDK) error { return k.Ctx.SetShared("k", nil) }, "kong.ctx.shared.set", "k", nil),
		nothing(func(k *pdk.PDK) error { return k.Ctx.SetShared("k", []byte{0xff, 0}) }, "kong.ctx.shared.set", "k", "/wA="),
		nothing(func(k *pdk.PDK) error { return k.Ctx.SetShared("k", table{"a": list{true}}) },
			"kong.ctx.shared.set", "k", table{"a": list{true}}),
	},
	"Ctx.GetSharedAny": {{func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetSharedAny("k") },
		"kong.ctx.shared.get", list{"k"}, list{1, "a"}, list{1.0, "a"}, nil, nil, ""}},
	"Ctx.GetSharedString": {{func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetSharedString("k") },
		"kong.ctx.shared.get", list{"k"}, "v", "v", errorFor("expected type: string"), 7, "expected type: string"}},
	"Ctx.GetSharedFloat": {{func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetSharedFloat("k") },
		"kong.ctx.shared.get", list{"k"}, 7, 7.0, errorFor("expected type: number"), "x", "expected type: number"}},

	"Log.Alert":  {nothing(func(k *pdk.PDK) error { return k.Log.Alert("a", 1.5, nil) }, "kong.log.alert", "a", 1.5, nil)},
	"Log.Crit":   {nothing(func(k *pdk.PDK) error { return k.Log.Crit("a") }, "kong.log.crit", "a")},
	"Log.Err":    {nothing(func(k *pdk.PDK) error { return k.Log.Err("a") }, "kong.log.err", "a")},
	"Log.Warn":   {nothing(func(k *pdk.PDK) error { return k.Log.Warn("a") }, "kong.log.warn", "a")},
	"Log.Notice": {nothing(func(k *pdk.PDK) error { return k.Log.Notice([]byte("a")) }, "kong.log.notice", "YQ==")},
	"Log.Info":   {nothing(func(k *pdk.PDK) error { return k.Log.Info() }, "kong.log.info")},
	"Log.Debug":  {nothing(func(k *pdk.PDK) error { return k.Log.Debug(true, "b") }, "kong.log.debug", true, "b")},
	"Log.Serialize": {text(func(k *pdk.PDK) (string, error) { return k.Log.Serialize() },
		"kong.log.serialize")},

	"Nginx.GetVar": {text(func(k *pdk.PDK) (string, error) { return k.Nginx.GetVar("v") }, "kong.nginx.get_var", "v")},
	"Nginx.GetTLS1VersionStr": {text(func(k *pdk.PDK) (string, error) { return k.Nginx.GetTLS1VersionStr() },
		"kong.nginx.get_tls1_version_str")},
	"Nginx.GetCtxAny": {{func(k *pdk.PDK) (interface{}, error) { return k.Nginx.GetCtxAny("k") },
		"kong.nginx.get_ctx", list{"k"}, table{"a": 1}, table{"a": 1.0}, nil, nil, ""}},
	"Nginx.GetCtxString": {{func(k *pdk.PDK) (interface{}, error) { return k.Nginx.GetCtxString("k") },
		"kong.nginx.get_ctx", list{"k"}, "v", "v", "", 7, ""}},
	"Nginx.GetCtxFloat": {{func(k *pdk.PDK) (interface{}, error) { return k.Nginx.GetCtxFloat("k") },
		"kong.nginx.get_ctx", list{"k"}, 7.5, 7.5, 0.0, "x", ""}},
	"Nginx.GetCtxInt": {{func(k *pdk.PDK) (interface{}, error) { return k.Nginx.GetCtxInt("k") },
		"kong.nginx.get_ctx", list{"k"}, 7.5, 7, 0, "x", ""}},
	"Nginx.ReqStartTime": {number(func(k *pdk.PDK) (float64, error) { return k.Nginx.ReqStartTime() }, "kong.nginx.req_start_time")},
	"Nginx.GetSubsystem": {text(func(k *pdk.PDK) (string, error) { return k.Nginx.GetSubsystem() }, "kong.nginx.get_subsystem")},

	"Request.GetScheme": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetScheme() }, "kong.request.get_scheme")},
	"Request.GetHost":   {text(func(k *pdk.PDK) (string, error) { return k.Request.GetHost() }, "kong.request.get_host")},
	"Request.GetPort":   {integer(func(k *pdk.PDK) (int, error) { return k.Request.GetPort() }, "kong.request.get_port")},
	"Request.GetForwardedScheme": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedScheme() },
		"kong.request.get_forwarded_scheme")},
	"Request.GetForwardedHost": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedHost() },
		"kong.request.get_forwarded_host")},
	"Request.GetForwardedPort": {integer(func(k *pdk.PDK) (int, error) { return k.Request.GetForwardedPort() },
		"kong.request.get_forwarded_port")},
	"Request.GetHttpVersion": {number(func(k *pdk.PDK) (float64, error) { return k.Request.GetHttpVersion() },
		"kong.request.get_http_version")},
	"Request.GetMethod": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetMethod() }, "kong.request.get_method")},
	"Request.GetPath":   {text(func(k *pdk.PDK) (string, error) { return k.Request.GetPath() }, "kong.request.get_path")},
	"Request.GetPathWithQuery": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetPathWithQuery() },
		"kong.request.get_path_with_query")},
	"Request.GetRawQuery": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetRawQuery() }, "kong.request.get_raw_query")},
	"Request.GetQueryArg": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetQueryArg("q\xff") },
		"kong.request.get_query_arg", "q\xff")},
	"Request.GetQuery": {
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Request.GetQuery(-1) }, "kong.request.get_query", 100),
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Request.GetQuery(1000) }, "kong.request.get_query", 1000),
	},
	"Request.GetHeader": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetHeader("h") }, "kong.request.get_header", "h")},
	"Request.GetHeaders": {
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Request.GetHeaders(-1) }, "kong.request.get_headers", 100),
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Request.GetHeaders(5) }, "kong.request.get_headers", 5),
	},
	"Request.GetRawBody": {{func(k *pdk.PDK) (interface{}, error) { return k.Request.GetRawBody() },
		"kong.request.get_raw_body", nil, list{0, []byte("body")}, []byte("body"), errorFor("expected type: body"), "x", "expected type: body"}},
	"Request.GetUriCaptures": {{func(k *pdk.PDK) (interface{}, error) {
		unnamed, named, err := k.Request.GetUriCaptures()
		return list{unnamed, named}, err
	}, "kong.request.get_uri_captures", nil, list{list{"x"}, table{"n": "y"}},
		list{[][]byte{[]byte("x")}, map[string][]byte{"n": []byte("y")}},
		list{[][]byte(nil), map[string][]byte(nil)}, "x", "expected type: captures"}},

	"Response.GetStatus": {integer(func(k *pdk.PDK) (int, error) { return k.Response.GetStatus() }, "kong.response.get_status")},
	"Response.GetHeader": {text(func(k *pdk.PDK) (string, error) { return k.Response.GetHeader("h") }, "kong.response.get_header", "h")},
	"Response.GetHeaders": {
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Response.GetHeaders(-1) }, "kong.response.get_headers", 100),
		headers(func(k *pdk.PDK) (map[string][]string, error) { return k.Response.GetHeaders(0) }, "kong.response.get_headers", 0),
	},
	"Response.GetSource": {text(func(k *pdk.PDK) (string, error) { return k.Response.GetSource() }, "kong.response.get_source")},
	"Response.SetStatus": {nothing(func(k *pdk.PDK) error { return k.Response.SetStatus(404) }, "kong.response.set_status", 404)},
	"Response.SetHeader": {nothing(func(k *pdk.PDK) error { return k.Response.SetHeader("h", "v") },
		"kong.response.set_header", "h", "v")},
	"Response.AddHeader": {nothing(func(k *pdk.PDK) error { return k.Response.AddHeader("h", "v") },
		"kong.response.add_header", "h", "v")},
	"Response.ClearHeader": {nothing(func(k *pdk.PDK) error { return k.Response.ClearHeader("h") }, "kong.response.clear_header", "h")},
	"Response.SetHeaders": {
		nothing(func(k *pdk.PDK) error { return k.Response.SetHeaders(map[string][]string{"h": {"v", "w"}}) },
			"kong.response.set_headers", table{"h": list{"v", "w"}}),
		nothing(func(k *pdk.PDK) error { return k.Response.SetHeaders(nil) }, "kong.response.set_headers", table{}),
	},
	"Response.Exit": {
		nothing(func(k *pdk.PDK) error { k.Response.Exit(403, []byte("no"), nil); return nil }, "kong.response.exit", 403, []byte("no")),
		nothing(func(k *pdk.PDK) error {
			k.Response.Exit(200, nil, map[string][]string{"h": {"v"}})
			return nil
		}, "kong.response.exit", 200, []byte(nil), table{"h": list{"v"}}),
	},
	"Response.ExitStatus": {nothing(func(k *pdk.PDK) error { k.Response.ExitStatus(204); return nil }, "kong.response.exit", 204)},

	"ServiceRequest.SetHeader": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetHeader("h", "v") },
		"kong.service.request.set_header", "h", "v")},
	"ServiceRequest.AddHeader": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.AddHeader("h", "v") },
		"kong.service.request.add_header", "h", "v")},
	"ServiceRequest.ClearHeader": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.ClearHeader("h") },
		"kong.service.request.clear_header", "h")},
	"ServiceRequest.SetHeaders": {nothing(func(k *pdk.PDK) error {
		return k.ServiceRequest.SetHeaders(map[string][]string{"h": {}})
	}, "kong.service.request.set_headers", table{"h": list{}})},

	"Client.LoadConsumer": {{func(k *pdk.PDK) (interface{}, error) { return k.Client.LoadConsumer("u", true) },
		"kong.client.load_consumer", list{"u", true}, table{"id": "i", "updated_at": 3, "ws_id": "w"},
		entities.Consumer{Id: "i", UpdatedAt: 3, WsId: "w"}, entities.Consumer{}, "x", "expected type: table"}},
	"Client.Authenticate": {
		nothing(func(k *pdk.PDK) error {
			return k.Client.Authenticate(&entities.Consumer{Id: "i", CreatedAt: 5, Tags: []string{"t"}}, nil)
		}, "kong.client.authenticate", table{"id": "i", "created_at": int64(5), "tags": list{"t"}}, nil),
		nothing(func(k *pdk.PDK) error {
			return k.Client.Authenticate(nil, &client.AuthenticatedCredential{Id: "i", ConsumerId: "c"})
		}, "kong.client.authenticate", nil, table{"id": "i", "consumer_id": "c"}),
	},
	"Client.TLS.RequestClientCertificate": {nothing(func(k *pdk.PDK) error { return k.Client.TLS().RequestClientCertificate() },
		"kong.client.tls.request_client_certificate")},
	"Client.TLS.DisableSessionReuse": {nothing(func(k *pdk.PDK) error { return k.Client.TLS().DisableSessionReuse() },
		"kong.client.tls.disable_session_reuse")},
	"Client.TLS.GetFullClientCertificateChain": {text(func(k *pdk.PDK) (string, error) {
		return k.Client.TLS().GetFullClientCertificateChain()
	}, "kong.client.tls.get_full_client_certificate_chain")},
	"Client.TLS.SetClientVerify": {nothing(func(k *pdk.PDK) error { return k.Client.TLS().SetClientVerify("NONE") },
		"kong.client.tls.set_client_verify", "NONE")},

	"Cluster.GetId": {text(func(k *pdk.PDK) (string, error) { return k.Cluster.GetId() }, "kong.cluster.get_id")},

	"Ctx.SetPlugin": {nothing(func(k *pdk.PDK) error { return k.Ctx.SetPlugin("k", 1) }, "kong.ctx.plugin.set", "k", 1)},
	"Ctx.GetPluginAny": {{func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetPluginAny("k") },
		"kong.ctx.plugin.get", list{"k"}, list{1, "a"}, list{1.0, "a"}, nil, nil, ""}},
	"Ctx.GetPluginString": {{func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetPluginString("k") },
		"kong.ctx.plugin.get", list{"k"}, "v", "v", errorFor("expected type: string"), 7, "expected type: string"}},
	"Ctx.GetPluginFloat": {{func(k *pdk.PDK) (interface{}, error) { return k.Ctx.GetPluginFloat("k") },
		"kong.ctx.plugin.get", list{"k"}, 7, 7.0, errorFor("expected type: number"), "x", "expected type: number"}},

	"IP.IsTrusted": {{func(k *pdk.PDK) (interface{}, error) { return k.IP.IsTrusted("::1") },
		"kong.ip.is_trusted", list{"::1"}, true, true, false, "x", "expected type: boolean"}},

	"Log.Emerg": {
		nothing(func(k *pdk.PDK) error { return k.Log.Emerg("a") }, "kong.log.emerg", "a"),
		nothing(func(k *pdk.PDK) error { return k.Log.Emerg("why: ", errors.New("e")) }, "kong.log.emerg", "why: ", "e"),
	},
	"Log.SerializeMap": {{func(k *pdk.PDK) (interface{}, error) { return k.Log.SerializeMap() },
		"kong.log.serialize", nil, `{"a":{"b":1}}`, table{"a": table{"b": 1.0}}, table(nil), "[1]", "what kong.log.serialize gave"}},
	"Log.SetSerializeValue": {nothing(func(k *pdk.PDK) error {
		return k.Log.SetSerializeValue("a.b", table{"c": nil}, log.Add)
	}, "kong.log.set_serialize_value", "a.b", table{"c": nil}, table{"mode": "add"})},

	"Nginx.SetCtx": {nothing(func(k *pdk.PDK) error { return k.Nginx.SetCtx("k", list{1.5}) },
		"kong.nginx.set_ctx", "k", list{1.5})},

	"Node.GetId":       {text(func(k *pdk.PDK) (string, error) { return k.Node.GetId() }, "kong.node.get_id")},
	"Node.GetHostname": {text(func(k *pdk.PDK) (string, error) { return k.Node.GetHostname() }, "kong.node.get_hostname")},
	"Node.GetMemoryStats": {{func(k *pdk.PDK) (interface{}, error) {
		m, err := k.Node.GetMemoryStats()
		if len(m.WorkersLuaVms) == 0 {
			return list{m.LuaSharedDicts.Kong.Capacity}, err
		}
		return list{m.LuaSharedDicts.Kong.AllocatedSlabs, m.LuaSharedDicts.Kong.Capacity, m.LuaSharedDicts.KongDbCache.AllocatedSlabs,
			m.LuaSharedDicts.KongDbCache.Capacity, len(m.WorkersLuaVms), m.WorkersLuaVms[0].Pid, m.WorkersLuaVms[0].HttpAllocatedGc}, err
	}, "kong.node.get_memory_stats", nil, table{
		"lua_shared_dicts": table{"kong": table{"allocated_slabs": 1, "capacity": 2}, "kong_db_cache": table{"allocated_slabs": 3, "capacity": 4}},
		"workers_lua_vms":  list{table{"pid": 5, "http_allocated_gc": 6.5}},
	}, list{int64(1), int64(2), int64(3), int64(4), 1, int64(5), int64(6)}, list{int64(0)}, "x", "expected type: table"}},

	"Plugin.GetId": {text(func(k *pdk.PDK) (string, error) { return k.Plugin.GetId() }, "kong.plugin.get_id")},

	"Request.GetRawPath": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetRawPath() }, "kong.request.get_raw_path")},
	"Request.GetForwardedPath": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedPath() },
		"kong.request.get_forwarded_path")},
	"Request.GetForwardedPrefix": {text(func(k *pdk.PDK) (string, error) { return k.Request.GetForwardedPrefix() },
		"kong.request.get_forwarded_prefix")},
	"Request.GetStartTime": {integer(func(k *pdk.PDK) (int, error) { return k.Request.GetStartTime() }, "kong.request.get_start_time")},
	"Request.GetRawBodyUpTo": {{func(k *pdk.PDK) (interface{}, error) { return k.Request.GetRawBodyUpTo(9) },
		"kong.request.get_raw_body", list{9}, list{0, []byte("body")}, []byte("body"), errorFor("expected type: body"), "x", "expected type: body"}},
	"Request.GetBody": {
		parsed(func(k *pdk.PDK) (interface{}, string, error) { return k.Request.GetBody(request.BodyOptions{}) },
			"kong.request.get_body", nil, nil, nil),
		parsed(func(k *pdk.PDK) (interface{}, string, error) {
			return k.Request.GetBody(request.BodyOptions{MimeType: "m", MaxArgs: 2, MaxFileSize: 3})
		}, "kong.request.get_body", "m", 2, 3),
	},

	"Response.SetHeaderValues": {
		nothing(func(k *pdk.PDK) error { return k.Response.SetHeaderValues("h", "v", "w") }, "kong.response.set_header", "h", list{"v", "w"}),
		nothing(func(k *pdk.PDK) error { return k.Response.SetHeaderValues("h") }, "kong.response.set_header", "h", list{}),
	},
	"Response.AddHeaderValues": {nothing(func(k *pdk.PDK) error { return k.Response.AddHeaderValues("h", "v", "w") },
		"kong.response.add_header", "h", list{"v", "w"})},
	"Response.Error": {
		nothing(func(k *pdk.PDK) error { k.Response.Error(503, "m", nil); return nil }, "kong.response.error", 503, "m"),
		nothing(func(k *pdk.PDK) error { k.Response.Error(503, "", map[string][]string{"h": {"v"}}); return nil },
			"kong.response.error", 503, nil, table{"h": list{"v"}}),
	},

	"Router.GetRoute": {{func(k *pdk.PDK) (interface{}, error) { return k.Router.GetRoute() }, "kong.router.get_route", nil, table{
		"id": "i", "created_at": 1, "updated_at": 2, "name": "n", "protocols": list{"http"}, "methods": list{"GET"},
		"hosts": list{"h"}, "paths": list{"/p"}, "https_redirect_status_code": 426, "regex_priority": 3, "strip_path": true,
		"preserve_host": true, "snis": list{"s"}, "tags": list{"t"}, "service": table{"id": "j"},
		"headers": table{"x-h": list{"v", "w"}}, "sources": list{table{"ip": "10.0.0.0/8", "port": 80}, table{"port": 81}},
		"destinations": list{table{"ip": "1.2.3.4"}}, "expression": "e", "priority": 4, "path_handling": "v0",
		"request_buffering": true, "response_buffering": true, "ws_id": "w",
	}, entities.Route{
		Id: "i", CreatedAt: 1, UpdatedAt: 2, Name: "n", Protocols: []string{"http"}, Methods: []string{"GET"},
		Hosts: []string{"h"}, Paths: []string{"/p"}, HTTPSRedirectStatusCode: 426, RegexPriority: 3, StripPath: true,
		PreserveHost: true, SNIs: []string{"s"}, Tags: []string{"t"}, Service: entities.ServiceKey{Id: "j"},
		Headers: []string{"x-h: v", "x-h: w"}, HeaderValues: map[string][]string{"x-h": {"v", "w"}},
		Sources: []string{"10.0.0.0/8:80", ":81"}, SourceParts: []entities.CIDRPort{{IP: "10.0.0.0/8", Port: 80}, {Port: 81}},
		Destinations: []string{"1.2.3.4"}, DestinationParts: []entities.CIDRPort{{IP: "1.2.3.4"}},
		Expression: "e", Priority: 4, PathHandling: "v0", RequestBuffering: true, ResponseBuffering: true, WsId: "w",
	}, entities.Route{}, "x", "expected type: table"}},
	"Router.GetService": {{func(k *pdk.PDK) (interface{}, error) { return k.Router.GetService() }, "kong.router.get_service", nil, table{
		"id": "i", "created_at": 1, "updated_at": 2, "name": "n", "retries": 3, "protocol": "http", "host": "h", "port": 4,
		"path": "/p", "connect_timeout": 5, "write_timeout": 6, "read_timeout": 7, "tags": list{"t"},
		"client_certificate": table{"id": "j"}, "enabled": true, "tls_verify": true, "tls_verify_depth": 8,
		"ca_certificates": list{"c"}, "ws_id": "w",
	}, entities.Service{
		Id: "i", CreatedAt: 1, UpdatedAt: 2, Name: "n", Retries: 3, Protocol: "http", Host: "h", Port: 4,
		Path: "/p", ConnectTimeout: 5, WriteTimeout: 6, ReadTimeout: 7, Tags: []string{"t"},
		ClientCertificate: entities.CertificateKey{Id: "j"}, Enabled: true, TLSVerify: true, TLSVerifyDepth: 8,
		CACertificates: []string{"c"}, WsId: "w",
	}, entities.Service{}, "x", "expected type: table"}},

	"Service.SetUpstream": {nothing(func(k *pdk.PDK) error { return k.Service.SetUpstream("u") }, "kong.service.set_upstream", "u")},
	"Service.SetTarget":   {nothing(func(k *pdk.PDK) error { return k.Service.SetTarget("h", 80) }, "kong.service.set_target", "h", 80)},
	"Service.SetRetries":  {nothing(func(k *pdk.PDK) error { return k.Service.SetRetries(2) }, "kong.service.set_retries", 2)},
	"Service.SetTimeouts": {nothing(func(k *pdk.PDK) error { return k.Service.SetTimeouts(time.Second, 2*time.Second, 3*time.Millisecond) },
		"kong.service.set_timeouts", 1000, 2000, 3)},
	"Service.SetTlsVerify": {nothing(func(k *pdk.PDK) error { return k.Service.SetTlsVerify(false) }, "kong.service.set_tls_verify", false)},
	"Service.SetTlsVerifyDepth": {nothing(func(k *pdk.PDK) error { return k.Service.SetTlsVerifyDepth(2) },
		"kong.service.set_tls_verify_depth", 2)},

	"ServiceRequest.SetScheme": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetScheme("https") },
		"kong.service.request.set_scheme", "https")},
	"ServiceRequest.SetPath": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetPath("/p") }, "kong.service.request.set_path", "/p")},
	"ServiceRequest.SetRawQuery": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetRawQuery("a=b") },
		"kong.service.request.set_raw_query", "a=b")},
	"ServiceRequest.SetMethod": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetMethod("PUT") },
		"kong.service.request.set_method", "PUT")},
	"ServiceRequest.SetQuery": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetQuery(map[string][]string{"a": {"b"}}) },
		"kong.service.request.set_query", table{"a": list{"b"}})},
	"ServiceRequest.ClearQueryArg": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.ClearQueryArg("a") },
		"kong.service.request.clear_query_arg", "a")},
	"ServiceRequest.SetRawBody": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetRawBody("b\xff") },
		"kong.service.request.set_raw_body", "b\xff")},
	"ServiceRequest.SetBody": {
		nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetBody(table{"a": "b"}, "m") },
			"kong.service.request.set_body", table{"a": "b"}, "m"),
		nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetBody(table{"a": "b"}, "") },
			"kong.service.request.set_body", table{"a": "b"}, nil),
	},
	"ServiceRequest.EnableBuffering": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.EnableBuffering() },
		"kong.service.request.enable_buffering")},
	"ServiceRequest.SetHeaderValues": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.SetHeaderValues("h", "v", "w") },
		"kong.service.request.set_header", "h", list{"v", "w"})},
	"ServiceRequest.AddHeaderValues": {nothing(func(k *pdk.PDK) error { return k.ServiceRequest.AddHeaderValues("h", "v") },
		"kong.service.request.add_header", "h", "v")},

	"ServiceResponse.GetStatus": {integer(func(k *pdk.PDK) (int, error) { return k.ServiceResponse.GetStatus() },
		"kong.service.response.get_status")},
	"ServiceResponse.GetHeader": {text(func(k *pdk.PDK) (string, error) { return k.ServiceResponse.GetHeader("h") },
		"kong.service.response.get_header", "h")},
	"ServiceResponse.GetHeaders": {headers(func(k *pdk.PDK) (map[string][]string, error) { return k.ServiceResponse.GetHeaders(-1) },
		"kong.service.response.get_headers", 100)},
	"ServiceResponse.GetRawBody": {{func(k *pdk.PDK) (interface{}, error) { return k.ServiceResponse.GetRawBody() },
		"kong.service.response.get_raw_body", nil, "b\xff", []byte("b\xff"), []byte(nil), 7, "expected type: string"}},
	"ServiceResponse.GetBody": {parsed(func(k *pdk.PDK) (interface{}, string, error) { return k.ServiceResponse.GetBody("m", 0) },
		"kong.service.response.get_body", "m", nil)},

	"Vault.Get": {text(func(k *pdk.PDK) (string, error) { return k.Vault.Get("{vault://env/a}") }, "kong.vault.get", "{vault://env/a}")},
	"Vault.IsReference": {{func(k *pdk.PDK) (interface{}, error) { return k.Vault.IsReference("a") },
		"kong.vault.is_reference", list{"a"}, true, true, false, "x", "expected type: boolean"}},
	"Vault.ParseReference": {{func(k *pdk.PDK) (interface{}, error) { return k.Vault.ParseReference("r") },
		"kong.vault.parse_reference", list{"r"},
		table{"name": "env", "resource": "r", "key": "k", "version": 2, "config": table{"prefix": "p"}, "scheme": "vault"},
		vault.Reference{Scheme: "vault", Name: "env", Resource: "r", Key: "k", Version: 2, Config: map[string]string{"prefix": "p"}},
		vault.Reference{}, "x", "expected type: table"}},
}
