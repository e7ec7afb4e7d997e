package scaffold

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxName keeps the plugin's socket, NAME.socket below a prefix, within the 107
// bytes that the path of a socket may have.
const maxName = 64

// names of plugins. Kong itself takes any text that stands between two commas of
// its setting plugins, but it makes of it the name of a Lua module, in which a dot
// is a folder, and of a setting, pluginserver_NAME_start_cmd, in which a capital
// is a small letter and a "-" is a "_".
var names = regexp.MustCompile(`^[a-z][a-z0-9]*([-_][a-z0-9]+)*$`)

// words have a meaning of their own in Kong's setting plugins.
var words = []string{"bundled", "off"}

// bundled are the plugins that Kong 3.9 brings along. Another one of that name on
// its Lua path would be loaded instead, or would not be found.
var bundled = strings.Fields(`
	acl acme ai-prompt-decorator ai-prompt-guard ai-prompt-template ai-proxy
	ai-request-transformer ai-response-transformer aws-lambda azure-functions
	basic-auth bot-detection correlation-id cors datadog file-log grpc-gateway
	grpc-web hmac-auth http-log ip-restriction jwt key-auth ldap-auth loggly oauth2
	opentelemetry post-function pre-function prometheus proxy-cache rate-limiting
	redirect request-size-limiting request-termination request-transformer
	response-ratelimiting response-transformer session standard-webhooks statsd
	syslog tcp-log udp-log zipkin`)

// checkName tells what is wrong with the name of a plugin.
func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("plugin name of %d bytes: want at most %d", len(name), maxName)
	case !names.MatchString(name):
		return fmt.Errorf("plugin name %q: want small letters and digits, with - or _ between them, such as my-plugin", name)
	case slices.Contains(words, name):
		return fmt.Errorf("plugin name %q: Kong's setting plugins means something else by it", name)
	case slices.Contains(bundled, name):
		return fmt.Errorf("plugin name %q: Kong brings a plugin of that name", name)
	}
	return nil
}

// element is one between the slashes of a module's path.
var element = regexp.MustCompile(`^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$`)

// checkModule tells what is wrong with the path of a module, as far as the go
// command would not build it.
func checkModule(path string) error {
	for part := range strings.SplitSeq(path, "/") {
		if !element.MatchString(part) || strings.HasSuffix(part, ".") {
			return fmt.Errorf("flag --module=%s: want the path of a Go module, such as example.com/my-plugin", path)
		}
	}
	return nil
}
