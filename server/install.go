package server

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/kongring/kongring/server/schema"
)

// What Kong loads for a plugin. Kong finds these modules on its Lua path before
// it asks any plugin server, so nothing of Kong is changed.
var (
	handlerLua = template.Must(template.New("handler.lua").Parse(
		`-- Written by the plugin server of {{.Name}}; see kongring.handler.
return require("kongring.handler").new {
  name = {{printf "%q" .Name}},
  version = {{printf "%q" .Version}},
  priority = {{.Priority}},
  phases = { {{range .Phases}}{{printf "%q" .}}, {{end}}},
  socket = {{printf "%q" .Socket}},
}
`))
	schemaLua = template.Must(template.New("schema.lua").Parse(
		`-- Written by the plugin server of {{.Name}} from its Go config struct.
return require("cjson").decode([==[
{{.Schema}}
]==])
`))
)

// Install writes kong/plugins/NAME/handler.lua and schema.lua below dir for
// each plugin of the server. With dir on Kong's lua_package_path, beside the
// folder kongring, Kong runs the plugin through the bridge.
//
// Besides the plugin's own fields the schema has the record
// [schema.OptionsKey]. Dump's has not: a Kong without the bridge could not do
// what the record says, and one that refuses it is better than one that takes
// "closed" and lets requests pass.
func (s *Server) Install(dir string) error {
	socket, err := filepath.Abs(s.options.socket)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	for _, p := range s.options.plugins {
		if err := install(filepath.Join(dir, "kong", "plugins", p.name), p, socket); err != nil {
			return fmt.Errorf("install plugin %s: %w", p.name, err)
		}
	}
	return nil
}

func install(dir string, p *plugin, socket string) error {
	text, err := json.MarshalIndent(schema.WithOptions(p.schema), "", "  ")
	if err != nil {
		return err
	}
	if strings.Contains(string(text), "]==]") {
		return fmt.Errorf("the schema contains \"]==]\", which its file cannot hold")
	}
	values := map[string]interface{}{
		"Name": p.name, "Version": p.version, "Priority": p.priority,
		"Phases": p.phases, "Socket": socket, "Schema": string(text),
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, form := range map[string]*template.Template{"handler.lua": handlerLua, "schema.lua": schemaLua} {
		var b strings.Builder
		if err := form.Execute(&b, values); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
