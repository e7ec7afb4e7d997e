package conform

import (
	"encoding/json"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/entities"
	"github.com/kongring/kongring/server/pdk/log"
	"github.com/kongring/kongring/server/pdk/vault"
)

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
