package test

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kongring/kongring/server/pdk/client"
	"github.com/kongring/kongring/server/pdk/entities"
	"github.com/kongring/kongring/server/wire"
)

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// constant answers with a field of Kong.
func constant[T any](field func(*Kong) T) answer {
	return func(e *TestEnv, _ args) (interface{}, error) { return field(&e.Kong), nil }
}

var clientAnswers = map[wire.MethodID]answer{
	wire.ClientGetIP:            constant(func(k *Kong) string { return k.IP }),
	wire.ClientGetForwardedIP:   constant(func(k *Kong) string { return k.ForwardedIP }),
	wire.ClientGetPort:          constant(func(k *Kong) int { return k.Port }),
	wire.ClientGetForwardedPort: constant(func(k *Kong) int { return k.ForwardedPort }),
	wire.ClientGetProtocol:      constant(func(k *Kong) string { return k.Protocol }),
	wire.ClientGetCredential:    constant((*Kong).credential),
	wire.ClientGetConsumer:      constant((*Kong).consumer),
	wire.ClientLoadConsumer: func(e *TestEnv, a args) (interface{}, error) {
		for _, c := range e.Kong.Consumers {
			if c.Id == a.text(0) || a.is(1) && c.Username == a.text(0) {
				return entity(c), nil
			}
		}
		return nil, nil
	},
	wire.ClientAuthenticate: func(e *TestEnv, a args) (interface{}, error) {
		e.Kong.Consumer, e.Kong.Credential = nil, nil
		if t := a.table(0); t != nil {
			e.Kong.Consumer = &entities.Consumer{
				Id: args{t["id"]}.text(0), Username: args{t["username"]}.text(0), CustomId: args{t["custom_id"]}.text(0),
				CreatedAt: args{t["created_at"]}.number(0), UpdatedAt: args{t["updated_at"]}.number(0),
				Tags: args{t["tags"]}.list(0), WsId: args{t["ws_id"]}.text(0),
			}
		}
		if t := a.table(1); t != nil {
			e.Kong.Credential = &client.AuthenticatedCredential{
				Id: args{t["id"]}.text(0), ConsumerId: args{t["consumer_id"]}.text(0),
			}
		}
		return nil, nil
	},
	wire.ClientTLSRequestClientCertificate:      constant(func(*Kong) bool { return true }),
	wire.ClientTLSDisableSessionReuse:           constant(func(*Kong) bool { return true }),
	wire.ClientTLSGetFullClientCertificateChain: constant(func(k *Kong) string { return k.CertificateChain }),
	wire.ClientTLSSetClientVerify: func(e *TestEnv, a args) (interface{}, error) {
		if v := a.text(0); v != "SUCCESS" && v != "NONE" && !strings.HasPrefix(v, "FAILED:") {
			return nil, fmt.Errorf("%q: want SUCCESS, NONE or FAILED:reason", v)
		}
		e.Kong.ClientVerify = a.text(0)
		return nil, nil
	},
}

// reference is one to a secret: vault, resource, key, settings and version.
var reference = regexp.MustCompile(`^\{vault://([^/?#]+)/([^/?#]+)(?:/([^/?#]+))?(?:\?([^#]*))?(?:#(\d+))?\}$`)

var otherAnswers = map[wire.MethodID]answer{
	wire.CtxSharedSet: setIn(func(e *TestEnv) map[string]interface{} { return e.Ctx.Store }),
	wire.CtxSharedGet: getIn(func(e *TestEnv) map[string]interface{} { return e.Ctx.Store }),
	wire.CtxPluginSet: setIn(func(e *TestEnv) map[string]interface{} { return e.Kong.PluginCtx }),
	wire.CtxPluginGet: getIn(func(e *TestEnv) map[string]interface{} { return e.Kong.PluginCtx }),
	wire.NginxSetCtx:  setIn(func(e *TestEnv) map[string]interface{} { return e.Kong.NgxCtx }),
	wire.NginxGetCtx:  getIn(func(e *TestEnv) map[string]interface{} { return e.Kong.NgxCtx }),
	wire.NginxGetVar: func(e *TestEnv, a args) (interface{}, error) {
		return e.Kong.Vars[a.text(0)], nil
	},
	wire.NginxGetTLS1VersionStr: func(e *TestEnv, _ args) (interface{}, error) {
		if e.phase == wire.PhaseCertificate || e.ClientReq.url().Scheme == "https" {
			return "TLSv1.3", nil
		}
		return nil, nil
	},
	wire.NginxReqStartTime: constant(func(k *Kong) float64 { return float64(k.StartTime.UnixMilli()) / 1000 }),
	wire.NginxGetSubsystem: func(e *TestEnv, _ args) (interface{}, error) {
		if e.phase == wire.PhasePreread {
			return "stream", nil
		}
		return "http", nil
	},
	wire.IPIsTrusted:     constant(func(k *Kong) bool { return k.Trusted }),
	wire.NodeGetID:       constant(func(k *Kong) string { return k.NodeID }),
	wire.NodeGetHostname: constant(func(k *Kong) string { return k.Hostname }),
	wire.NodeGetMemoryStats: constant(func(*Kong) map[string]interface{} {
		type table = map[string]interface{}
		return table{
			"lua_shared_dicts": table{
				"kong":          table{"allocated_slabs": 1027, "capacity": 4423543},
				"kong_db_cache": table{"allocated_slabs": 4093, "capacity": 3424875},
			},
			"workers_lua_vms": []interface{}{
				table{"http_allocated_gc": 123456, "pid": 543}, table{"http_allocated_gc": 345678, "pid": 876},
			},
		}
	}),
	wire.ClusterGetID:     constant(func(k *Kong) string { return k.ClusterID }),
	wire.PluginGetID:      constant(func(k *Kong) string { return k.PluginID }),
	wire.RouterGetRoute:   constant((*Kong).route),
	wire.RouterGetService: constant((*Kong).service),
	wire.VaultGet: func(e *TestEnv, a args) (interface{}, error) {
		secret, found := e.Kong.Secrets[a.text(0)]
		if !found {
			return nil, said{fmt.Errorf("could not get value from vault [%s]", a.text(0))}
		}
		return secret, nil
	},
	wire.VaultIsReference: func(_ *TestEnv, a args) (interface{}, error) {
		return reference.MatchString(a.text(0)), nil
	},
	wire.VaultParseReference: func(_ *TestEnv, a args) (interface{}, error) {
		m := reference.FindStringSubmatch(a.text(0))
		if m == nil {
			return nil, said{errors.New("not a reference [" + a.text(0) + "]")}
		}
		query, err := url.ParseQuery(m[4])
		if err != nil {
			return nil, said{err}
		}
		version, _ := strconv.Atoi(m[5])
		return map[string]interface{}{
			"scheme": "vault", "name": m[1], "resource": m[2], "key": m[3], "config": lists(query), "version": version,
		}, nil
	},
}

func setIn(store func(*TestEnv) map[string]interface{}) answer {
	return func(e *TestEnv, a args) (interface{}, error) {
		if a.at(1) == nil {
			delete(store(e), a.text(0))
		} else {
			store(e)[a.text(0)] = plain(a.at(1))
		}
		return nil, nil
	}
}

func getIn(store func(*TestEnv) map[string]interface{}) answer {
	return func(e *TestEnv, a args) (interface{}, error) { return store(e)[a.text(0)], nil }
}
