package test

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kongring/kongring/server/wire"
)

var logAnswers = map[wire.MethodID]answer{
	wire.LogEmerg:     line("emerg"),
	wire.LogAlert:     line("alert"),
	wire.LogCrit:      line("crit"),
	wire.LogErr:       line("err"),
	wire.LogWarn:      line("warn"),
	wire.LogNotice:    line("notice"),
	wire.LogInfo:      line("info"),
	wire.LogDebug:     line("debug"),
	wire.LogSerialize: serialize,
	wire.LogSetSerializeValue: func(e *TestEnv, a args) (interface{}, error) {
		mode, _ := a.table(2)["mode"].(string)
		_, exists := e.Kong.Serialized[a.text(0)]
		switch {
		case mode != "set" && mode != "add" && mode != "replace":
			return nil, fmt.Errorf("mode %q: want set, add or replace", mode)
		case mode == "set" || exists == (mode == "replace"):
			e.Kong.Serialized[a.text(0)] = plain(a.at(1))
		}
		return nil, nil
	},
}

func line(level string) answer {
	return func(e *TestEnv, a args) (interface{}, error) {
		var text strings.Builder
		for _, v := range a {
			if v == nil {
				v = "nil"
			}
			fmt.Fprint(&text, v)
		}
		e.Kong.Logs = append(e.Kong.Logs, LogLine{level, text.String()})
		e.t.Logf("%s: %s", level, text.String())
		return nil, nil
	}
}

// serialize gives the main fields of what Kong serializes, and those that the
// plugin set.
func serialize(e *TestEnv, _ args) (interface{}, error) {
	u := e.ClientReq.url()
	root := map[string]interface{}{
		"request": map[string]interface{}{
			"method": e.ClientReq.Method, "uri": u.RequestURI(), "url": e.ClientReq.Url,
			"headers": lists(LowercaseHeaders(e.ClientReq.Headers)), "querystring": lists(u.Query()),
			"size": len(e.ClientReq.Body),
		},
		"response": map[string]interface{}{
			"status": e.ClientRes.Status, "headers": lists(LowercaseHeaders(e.ClientRes.Headers)), "size": len(e.ClientRes.Body),
		},
		"client_ip": e.Kong.IP, "started_at": e.Kong.StartTime.UnixMilli(),
		"route": e.Kong.route(), "service": e.Kong.service(), "consumer": e.Kong.consumer(),
	}
	for path, v := range e.Kong.Serialized {
		at := root
		names := strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			next, ok := at[name].(map[string]interface{})
			if !ok {
				next = map[string]interface{}{}
				at[name] = next
			}
			at = next
		}
		at[names[len(names)-1]] = v
	}
	text, err := json.Marshal(root)
	return string(text), err
}
