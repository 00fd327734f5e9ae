package redisbinding

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"github.com/redisbinding/redisbinding/internal/redact"
)

// LogRedisTo sends what go-redis logs to logger, at debug level, with no more of a
// server's error replies than their codes, such as WRONGPASS. By itself
// go-redis prints to standard error, through one logger for the whole process:
// so this is for the application to call, once, before it makes bindings. The
// library never does. A nil logger drops it all.
func LogRedisTo(logger *slog.Logger) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	redis.SetLogger(redisLogger{logger})
}

// redisLogger is a slog.Logger as go-redis wants one.
type redisLogger struct{ logger *slog.Logger }

func (l redisLogger) Printf(ctx context.Context, format string, args ...any) {
	if !l.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	// Nobody knows here what the passwords are that a server may repeat in a reply.
	for i, arg := range args {
		var reply redis.Error
		if err, ok := arg.(error); ok && errors.As(err, &reply) {
			args[i] = redact.ReplyCode(reply)
		}
	}
	l.logger.DebugContext(ctx, redact.Arguments(fmt.Sprintf(format, args...)))
}
