package sdk

import (
	"context"
	"io"
	"log/slog"
	"strings"
)

type loggerKey struct{}

// Logger is the log of a run or of a notification, tagged with the component and the target; in Open, with the component.
// What it is given appears in the log of vipward. Without a context of the SDK's it is [slog.Default].
func Logger(ctx context.Context) *slog.Logger {
	if l, ok := ctx.Value(loggerKey{}).(*slog.Logger); ok {
		return l
	}
	return slog.Default()
}

func withLogger(ctx context.Context, l *slog.Logger) context.Context {
	return context.WithValue(ctx, loggerKey{}, l)
}

// newLogger writes JSON lines in the shape of hclog, which hosts of go-plugin read from a plugin's stderr.
func newLogger(w io.Writer) *slog.Logger {
	rename := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) > 0 {
			return a
		}
		switch a.Key {
		case slog.TimeKey:
			a.Key = "@timestamp"
		case slog.LevelKey:
			return slog.String("@level", strings.ToLower(a.Value.String()))
		case slog.MessageKey:
			a.Key = "@message"
		}
		return a
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: rename}))
}
