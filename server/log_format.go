package server

import (
	"fmt"
	"io"
	"log/slog"
	"os"
)

// logFormats make a handler of each format of the flag -log-format.
var logFormats = map[string]func(io.Writer) slog.Handler{
	"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
}

// WithLogFormat writes the server's own lines to standard error, each as fields in
// a format, "text" (key=value) or "json". They have the field source=server.
func WithLogFormat(format string) Option {
	return func(o *options) error {
		handler := logFormats[format]
		if handler == nil {
			return fmt.Errorf("log format %q: want text or json", format)
		}
		o.logger = slog.New(handler(os.Stderr)).With("source", "server")
		return nil
	}
}

// tagPlugin gives what the plugin writes by the packages log and log/slog the same
// format, with the field source=plugin. It is for the whole process.
func tagPlugin(format string) {
	slog.SetDefault(slog.New(logFormats[format](os.Stderr)).With("source", "plugin"))
}
