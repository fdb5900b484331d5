package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// contained calls an author's function, bound to its configuration; of a panic failed makes the result.
func contained[Call, Result any](
	log *slog.Logger, what string, bind func(raw []byte) bound[Call, Result], failed func(error) Result,
) func(context.Context, []byte, Call) Result {
	return func(ctx context.Context, raw []byte, call Call) (r Result) {
		defer func() {
			if p := recover(); p != nil {
				log.Error("the "+what+" panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				r = failed(fmt.Errorf("panic: %v", p))
			}
		}()
		b := bind(raw)
		defer b.close()
		return b.call(ctx, call)
	}
}
