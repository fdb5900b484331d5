package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vipward/vipward/core/config"
	"github.com/vipward/vipward/core/event"
)

// run is one life of a daemon's outbox with a journal: f runs beside it, and what happened comes back. It ends without a flush.
func run(t *testing.T, journal string, notifiers []config.Notifier, up bool, f func(b *bench)) []string {
	t.Helper()
	b := &bench{began: time.Now(), keys: map[string]bool{}}
	b.answer = func(context.Context, config.Notifier, event.Event, int) (Outcome, time.Duration, error) {
		if up {
			return Delivered, 0, nil
		}
		return Retry, 0, errors.New("connection refused")
	}
	b.Outbox = New(Options{Deliver: b.deliver, Event: b.report, Logger: slog.New(slog.DiscardHandler), Journal: journal})
	b.Restore()
	b.Set(notifiers)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	if f != nil {
		f(b)
	}
	synctest.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	return b.log
}

func wantLog(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestARestartLosesNothingAndRepeatsNothing(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "lb1.outbox")
	both := []config.Notifier{notifier("mail", 100), notifier("ops", 100)}
	synctest.Test(t, func(t *testing.T) {
		run(t, journal, both, false, func(b *bench) {
			b.Add(transition("web", "ops"))
			b.Add(transition("db", "ops", "mail"))
			b.Add(transition("cache", "ops"))
		})
		log := run(t, journal, both, true, nil)
		slices.Sort(log[:1])
		if !slices.Contains(log, "0s mail db #1") {
			t.Errorf("mail was not told: %q", log)
		}
		log = slices.DeleteFunc(log, func(s string) bool { return strings.HasPrefix(s, "0s mail") })
		wantLog(t, log, "0s ops web #1", "0s ops db #1", "0s ops cache #1")
		wantLog(t, run(t, journal, both, true, nil))
	})
}

func TestSequenceNumbersGoOnAfterARestart(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "lb1.outbox")
	synctest.Test(t, func(t *testing.T) {
		run(t, journal, []config.Notifier{notifier("ops", 1)}, true, func(b *bench) {
			e := transition("web", "ops")
			e.Seq = 41
			b.Add(e)
		})
		for range 2 { // also when nothing has happened in between
			b := New(Options{Journal: journal})
			if seq := b.Restore(); seq != 41 {
				t.Errorf("Restore = %d, want 41", seq)
			}
		}
	})
}

func TestWhatWaitedForANotifierThatIsGoneIsDroppedForGood(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "lb1.outbox")
	ops := []config.Notifier{notifier("ops", 100)}
	synctest.Test(t, func(t *testing.T) {
		run(t, journal, ops, false, func(b *bench) { b.Add(transition("web", "ops")) })
		wantLog(t, run(t, journal, nil, true, nil))
		wantLog(t, run(t, journal, ops, true, nil))
	})
}

func TestADamagedJournalIsSetAsideAndTheRestDelivered(t *testing.T) {
	dir := t.TempDir()
	journal := filepath.Join(dir, "lb1.outbox")
	ops := []config.Notifier{notifier("ops", 100)}
	synctest.Test(t, func(t *testing.T) {
		run(t, journal, ops, false, func(b *bench) {
			b.Add(transition("web", "ops"))
			b.Add(transition("db", "ops"))
		})
		text, err := os.ReadFile(journal)
		if err != nil {
			t.Fatal(err)
		}
		bad := strings.Replace(string(text), `"subject":"web"`, `"subject":"wub"`, 1)
		if err := os.WriteFile(journal, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		log := run(t, journal, ops, true, nil)
		if len(log) != 2 || log[1] != "0s ops db #1" {
			t.Fatalf("got %q, want that db is delivered", log)
		}
		for _, part := range []string{"outbox.damaged", journal + " is damaged", journal + ".damaged-", "line 2: its checksum is wrong"} {
			if !strings.Contains(log[0], part) {
				t.Errorf("%q lacks %q", log[0], part)
			}
		}
		aside, err := filepath.Glob(journal + ".damaged-*")
		if err != nil || len(aside) != 1 {
			t.Fatalf("set aside are %v", aside)
		}
		if kept, _ := os.ReadFile(aside[0]); string(kept) != bad {
			t.Errorf("set aside is %q, want %q", kept, bad)
		}
		wantLog(t, run(t, journal, ops, true, nil)) // it is whole again
	})
}

func TestWhatAKilledRunLeftUnfinishedIsRemoved(t *testing.T) {
	dir := t.TempDir()
	journal := filepath.Join(dir, "lb1.outbox")
	if err := os.WriteFile(journal+unfinished+"123", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { run(t, journal, nil, true, nil) })
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || !slices.Equal(files, []string{journal}) {
		t.Errorf("the folder has %v, %v, want the journal alone", files, err)
	}
}

func TestAJournalThatGrowsIsWrittenAnew(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "lb1.outbox")
	ops := []config.Notifier{notifier("ops", 0)}
	synctest.Test(t, func(t *testing.T) {
		run(t, journal, ops, true, func(b *bench) {
			for n := range 40 {
				e := transition(fmt.Sprint(n), "ops")
				e.Reason = strings.Repeat("x", 100_000)
				b.Add(e)
				synctest.Wait()
			}
		})
		info, err := os.Stat(journal)
		if err != nil || info.Size() > slack+200_000 {
			t.Errorf("after 4 MB of events that were delivered the journal has %d bytes, %v", info.Size(), err)
		}
	})
}

// smallDisk is a folder on a file system of its own, of 64 KiB, and functions that fill it and make room again.
func smallDisk(t *testing.T) (dir string, fill, room func()) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("mount a small file system (this test needs root): %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	filler := filepath.Join(dir, "filler")
	fill = func() {
		if err := os.WriteFile(filler, make([]byte, 64<<10), 0o600); !errors.Is(err, syscall.ENOSPC) && err != nil {
			t.Error(err)
		}
	}
	room = func() {
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	}
	return dir, fill, room
}

func TestAFullDiskIsToldOnceAndDeliveryGoesOn(t *testing.T) {
	dir, fill, room := smallDisk(t)
	fill()
	synctest.Test(t, func(t *testing.T) {
		log := run(t, filepath.Join(dir, "lb1.outbox"), []config.Notifier{notifier("ops", 0)}, true, func(b *bench) {
			for n := range 3 {
				b.Add(transition(fmt.Sprint("i", n), "ops"))
				time.Sleep(diskPause)
			}
			if !b.Unsaved() {
				t.Error("Unsaved = false on a full disk")
			}
			room()
			time.Sleep(2 * diskPause)
			if b.Unsaved() {
				t.Error("Unsaved = true where there is room again")
			}
		})
		told := slices.DeleteFunc(slices.Clone(log), func(s string) bool { return strings.Contains(s, " ops i") })
		if len(told) != 2 || !strings.Contains(told[0], "outbox.unsaved") || !strings.Contains(told[0], "no space left on device") ||
			!strings.Contains(told[1], "outbox.saved") {
			t.Errorf("told was %q, want once that the disk is full and once that it is not", told)
		}
		if len(log) != 5 {
			t.Errorf("got %q, want all three delivered", log)
		}
	})
}

// waiting are the subjects that a journal has for a notifier.
func waiting(t *testing.T, journal, name string) string {
	t.Helper()
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	s, err := replay(text)
	if err != nil {
		t.Error(err)
	}
	var subjects []string
	for _, it := range s.open[name] {
		subjects = append(subjects, it.event.Subject)
	}
	return strings.Join(subjects, " ")
}

func TestADiskThatWasFullForAWhileHasAllInTheEnd(t *testing.T) {
	for _, late := range []bool{false, true} { // room comes while the daemon runs, or at its end
		dir, fill, room := smallDisk(t)
		journal := filepath.Join(dir, "lb1.outbox")
		synctest.Test(t, func(t *testing.T) {
			run(t, journal, []config.Notifier{notifier("ops", 100)}, false, func(b *bench) {
				b.Add(transition("early", "ops"))
				synctest.Wait()
				fill()
				e := transition("amid", "ops")
				e.Reason = strings.Repeat("x", 20<<10) // more than is left of the last page
				b.Add(e)
				time.Sleep(diskPause)
				if !b.Unsaved() {
					t.Error("Unsaved = false on a full disk")
				}
				room()
				if !late {
					time.Sleep(2 * diskPause)
					b.Add(transition("after", "ops"))
				}
			})
		})
		want := "early amid"
		if !late {
			want += " after"
		}
		if got := waiting(t, journal, "ops"); got != want {
			t.Errorf("the journal has %q, want %q", got, want)
		}
	}
}

func TestANotifierThatIsRemovedByAReloadLeavesNothing(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "lb1.outbox")
	ops := []config.Notifier{notifier("ops", 100)}
	synctest.Test(t, func(t *testing.T) {
		run(t, journal, ops, false, func(b *bench) {
			b.Add(transition("web", "ops"))
			b.Add(transition("db", "ops"))
			synctest.Wait()
			b.Set(nil)
		})
		wantLog(t, run(t, journal, ops, true, nil))
	})
}

func TestMoreThanTheDiskTakesIsWrittenAtOnceLater(t *testing.T) {
	o := New(Options{Journal: filepath.Join(t.TempDir(), "lb1.outbox"), Logger: slog.New(slog.DiscardHandler)})
	o.Set([]config.Notifier{notifier("ops", 0)})
	for n := range 60 { // nobody writes
		e := transition(fmt.Sprint(n), "ops")
		e.Reason = strings.Repeat("x", 100_000)
		o.Add(e)
	}
	if got := len(o.disk.pending); got > maxPending || !o.disk.whole {
		t.Errorf("%d bytes wait for the disk, want at most %d, and that the journal is to be written anew", got, maxPending)
	}
	if err := o.write(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(o.Journal)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := replay(text); err != nil || len(s.open["ops"]) != 60 {
		t.Errorf("the journal has %d events, %v, want 60", len(s.open["ops"]), err)
	}
}
