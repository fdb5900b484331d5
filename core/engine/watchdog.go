package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/vipward/vipward/core/node"
)

// The states of the service that systemd is told (sd_notify(3)). Outside of systemd they go nowhere.
const (
	stateReady    = daemon.SdNotifyReady
	stateStopping = daemon.SdNotifyStopping
)

func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd could not be told", "state", state, "error", err)
	}
}

// notifyReloading says that a reload has begun. systemd wants the time too, and then READY again.
func notifyReloading(log *slog.Logger) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		log.Warn("the clock could not be read", "error", err)
		return
	}
	notify(log, fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, ts.Nano()/1000))
}

// watch tells systemd's watchdog that the loop goes round: a loop that stands still is not covered up by a timer of its own.
func watch(ctx context.Context, log *slog.Logger, l *loop) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read the watchdog's interval: %w", err)
	}
	if interval == 0 {
		return nil
	}
	ticker := time.NewTicker(interval / 4)
	defer ticker.Stop()
	status := ""
	for last := int64(0); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if p := l.progress.Load(); p != last {
			last = p
			notify(log, daemon.SdNotifyWatchdog)
		}
		if s := statusLine(l.Snapshot()); s != status {
			status = s
			notify(log, "STATUS="+s)
		}
	}
}

// statusLine is the state of the node in one line, as `systemctl status` shows it.
func statusLine(s *node.Snapshot) string {
	if s == nil {
		return "starting"
	}
	parts := make([]string, 0, len(s.Instances))
	for _, i := range s.Instances {
		parts = append(parts, fmt.Sprintf("%s %s %d", i.Config.Name, i.State, i.Effective))
	}
	return strings.Join(parts, ", ")
}

// suspended is for how long this machine was suspended since its start: CLOCK_BOOTTIME goes on meanwhile, CLOCK_MONOTONIC, by which Go
// measures time, does not (clock_gettime(2)). Where that is unknown, it is 0.
func suspended() time.Duration {
	var mono, boot unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - mono.Nano())
}
