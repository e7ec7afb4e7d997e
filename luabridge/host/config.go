package host

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

//go:embed lua
var luaFiles embed.FS

//go:embed nginx.conf.tmpl
var configText string

var configTemplate = template.Must(template.New("nginx.conf").Parse(configText))

// configValues are the fields of nginx.conf.tmpl, quoted where they come from
// outside. The Extra fields are configuration themselves.
type configValues struct {
	Modules          []string
	User             string
	Workers          int
	Bound            bool
	Prefix           string
	LogLevel         string
	Env              []string
	TrustedIPs       []netip.Prefix
	LuaPackagePath   string
	CheckClientAbort bool
	LuaConfig        string
	LuaLogLevel      string
	Listen           string
	TLSListen        string
	Certificate      string
	Key              string
	ExtraInitWorker  string
	ExtraServer      string
	ExtraHTTP        string
	Stream           string
}

func (h *Host) writeConfig() error {
	o := h.options
	if strings.ContainsAny(o.Prefix, " \t\r\n;{}\"'\\$#") {
		return fmt.Errorf("write nginx.conf: prefix %q has characters that nginx treats specially", o.Prefix)
	}
	searchPath, err := luaPackagePath(o)
	if err != nil {
		return fmt.Errorf("write nginx.conf: %w", err)
	}

	values := configValues{
		Modules:          h.build.modules,
		Workers:          o.Workers,
		Bound:            o.Bound,
		Prefix:           o.Prefix,
		LogLevel:         o.LogLevel,
		Env:              environment(o.Env, quote),
		TrustedIPs:       trustedIPs(o.Config),
		LuaPackagePath:   quote(searchPath),
		CheckClientAbort: o.CheckClientAbort,
		LuaConfig:        luaString(o.Config),
		LuaLogLevel:      luaString(o.LogLevel),
		Listen:           h.address,
		TLSListen:        h.tlsAddress,
		Certificate:      quote(o.Certificate),
		Key:              quote(o.Key),
		ExtraInitWorker:  o.ExtraInitWorker,
		ExtraServer:      o.ExtraServer,
		ExtraHTTP:        o.ExtraHTTP,
		Stream:           o.Stream,
	}
	if os.Geteuid() == 0 {
		// Otherwise workers become "nobody", whom a plugin server lets in only
		// where it is told to.
		values.User = cmp.Or(o.User, "root")
	}

	file, err := os.Create(h.path("nginx.conf"))
	if err != nil {
		return fmt.Errorf("write nginx.conf: %w", err)
	}
	if err := configTemplate.Execute(file, values); err != nil {
		file.Close()
		return fmt.Errorf("write nginx.conf: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write nginx.conf: %w", err)
	}
	return nil
}

// writeLua puts the embedded modules into prefix/lua.
func writeLua(prefix string) error {
	return fs.WalkDir(luaFiles, "lua", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(prefix, filepath.FromSlash(path))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		content, err := luaFiles.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
}

func luaPackagePath(o Options) (string, error) {
	var path strings.Builder
	for _, dir := range append([]string{filepath.Join(o.Prefix, "lua")}, o.LuaPath...) {
		if strings.ContainsAny(dir, ";?\n") {
			return "", fmt.Errorf("directory %q of the Lua path has characters that Lua treats specially", dir)
		}
		fmt.Fprintf(&path, "%s/?.lua;%s/?/init.lua;", dir, dir)
	}
	return path.String() + ";", nil
}

// trustedIPs returns what nginx itself must know of the declarative file. It
// skips what it cannot read: the Lua side reads the file too, and reports.
func trustedIPs(path string) []netip.Prefix {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var file struct {
		TrustedIPs []string `json:"trusted_ips"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil
	}

	var prefixes []netip.Prefix
	for _, item := range file.TrustedIPs {
		if prefix, err := netip.ParsePrefix(item); err == nil {
			prefixes = append(prefixes, prefix.Masked())
		} else if address, err := netip.ParseAddr(item); err == nil && address.Zone() == "" {
			prefixes = append(prefixes, netip.PrefixFrom(address, address.BitLen()))
		}
	}
	return prefixes
}

// environment returns NAME=VALUE for each variable, in a fixed order.
func environment(variables map[string]string, format func(string) string) []string {
	var list []string
	for name, value := range variables {
		list = append(list, format(name+"="+value))
	}
	slices.Sort(list)
	return list
}

// quote makes one word of text in nginx's configuration.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// luaString makes a literal of text in Lua code.
func luaString(text string) string {
	var literal strings.Builder
	literal.WriteByte('"')
	for _, c := range []byte(text) {
		if c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '{' && c != '}' {
			literal.WriteByte(c)
		} else {
			fmt.Fprintf(&literal, `\%03d`, c)
		}
	}
	literal.WriteByte('"')
	return literal.String()
}
