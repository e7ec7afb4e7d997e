package server

import (
	"context"
	"fmt"
	"log/slog"
)

// WithLogLevel keeps the server's own lines below a level, "debug", "info",
// "warn" or "error", out of the log that [WithLogger] or the default gives, and
// lets the others in whatever that log's own level is. It is about the logger
// of the options before it.
func WithLogLevel(name string) Option {
	return func(o *options) error {
		level, err := levelOf(name)
		if err != nil {
			return fmt.Errorf("log level %q: want debug, info, warn or error", name)
		}
		o.logger = slog.New(leveled{o.logger.Handler(), level})
		return nil
	}
}

// leveled is a handler with another level.
type leveled struct {
	slog.Handler
	level slog.Level
}

func (l leveled) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }

func (l leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{l.Handler.WithAttrs(attrs), l.level}
}

func (l leveled) WithGroup(name string) slog.Handler {
	return leveled{l.Handler.WithGroup(name), l.level}
}

// levelOf gives the level of a name.
func levelOf(name string) (level slog.Level, err error) {
	err = level.UnmarshalText([]byte(name))
	return level, err
}
