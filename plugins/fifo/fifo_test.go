package fifo

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipward/vipward/sdk"
	"github.com/vipward/vipward/sdk/plugintest"
)

// patience is the deadline of what must happen, however busy the machine is.
const patience = 60 * time.Second

func pipe(t *testing.T, config string, args ...any) plugintest.NotifierTest {
	t.Helper()
	return plugintest.Notifier(t, "fifo", notify).Config(fmt.Sprintf(config, args...)).Timeout(patience)
}

func event(seq int) sdk.Event {
	return sdk.Event{Seq: uint64(seq), Kind: "instance", Subject: fmt.Sprint("i", seq), To: "MASTER", Priority: 100}
}

// reader opens the pipe for reading, as a program does that reads it; a line that it does not get in time fails the test.
type reader struct {
	t     *testing.T
	file  *os.File
	lines *bufio.Reader
}

func read(t *testing.T, path string) *reader {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &reader{t, f, bufio.NewReader(f)}
}

func (r *reader) line() string {
	r.t.Helper()
	if err := r.file.SetReadDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	text, err := r.lines.ReadString('\n')
	if err != nil {
		r.t.Fatalf("read the pipe: %v", err)
	}
	return text
}

func TestLinesAreThoseOfKeepalived(t *testing.T) {
	for _, tt := range []struct {
		event sdk.Event
		want  string
	}{
		{sdk.Event{Kind: "instance", Subject: "VI_1", To: "MASTER", Priority: 100}, `INSTANCE "VI_1" MASTER 100`},
		{sdk.Event{Kind: "instance", Subject: "VI_1", To: "FAULT", Priority: 0}, `INSTANCE "VI_1" FAULT 0`},
		{sdk.Event{Kind: "group", Subject: "G", To: "BACKUP"}, `GROUP "G" BACKUP 0`},
		{sdk.Event{Kind: "instance", Subject: "VI_1", To: "STOP", Priority: 100}, `INSTANCE "VI_1" STOP 100`},
		{sdk.Event{Kind: "instance", Subject: "VI_1", To: "INIT", Priority: 100}, `INSTANCE "VI_1" STOP 100`},
		{sdk.Event{Kind: "instance", Subject: "VI_1", To: "HOLD", Priority: 100}, `INSTANCE "VI_1" BACKUP 100`},
		{sdk.Event{Kind: "real_server", Subject: "10.0.0.1:80", Service: "web", To: "down"}, `RS "10.0.0.1:80" "web" DOWN`},
		{sdk.Event{Kind: "service", Subject: "web", To: "up"}, `VS "web" UP`},
		{sdk.Event{Kind: "plugin", Subject: "http", To: "running"}, `PLUGIN "http" RUNNING`},
		{sdk.Event{Kind: "daemon", Subject: "outbox", Code: "outbox.saved"}, `DAEMON "outbox" OUTBOX.SAVED`},
		{sdk.Event{Kind: "instance", Subject: "a\"b\nINSTANCE \"c", To: "MASTER"}, `INSTANCE "a'b INSTANCE 'c" MASTER 0`},
	} {
		if got := Line(tt.event); got != tt.want+"\n" {
			t.Errorf("Line = %q, want %q", got, tt.want+"\n")
		}
	}
	if got := Line(sdk.Event{Kind: "instance", Subject: strings.Repeat("ä", 5000)}); len(got) > maxLine || !strings.HasSuffix(got, "\n") {
		t.Errorf("a line has %d bytes, want at most %d", len(got), maxLine)
	}
}

func TestAPipeThatIsMissingIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	n := pipe(t, `{"path": %q, "mode": "0622"}`, path)
	n.Valid()
	n.Events(event(1)).Retry(path + ": nobody reads it")
	info, err := os.Stat(path)
	if err != nil || info.Mode() != os.ModeNamedPipe|0o622 {
		t.Errorf("the pipe is %v, %v", info.Mode(), err)
	}
}

func TestOnlyChangesOfStateAreWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	n := pipe(t, `{"path": %q}`, path)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r := read(t, path)
	n.Events(sdk.Event{Seq: 1, Kind: "instance", Subject: "i1", Code: "instance.takeover"}).Delivered()
	n.Events(event(2)).Delivered()
	if got, want := r.line(), "INSTANCE \"i2\" MASTER 100\n"; got != want {
		t.Errorf("the first line is %q, want %q", got, want)
	}
}

func TestAReaderThatComesLaterMissesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	n := pipe(t, `{"path": %q}`, path)
	n.Events(event(1)).Retry("nobody reads it")
	r := read(t, path)
	for seq := range 3 {
		n.Events(event(seq + 1)).Delivered()
	}
	for seq := range 3 {
		if got, want := r.line(), fmt.Sprintf("INSTANCE \"i%d\" MASTER 100\n", seq+1); got != want {
			t.Errorf("line %d is %q, want %q", seq, got, want)
		}
	}
	r.file.Close()
	n.Events(event(4)).Retry("nobody reads it")
	again := read(t, path)
	n.Events(event(4)).Delivered()
	if got := again.line(); got != "INSTANCE \"i4\" MASTER 100\n" {
		t.Errorf("after the reader came back it read %q", got)
	}
}

func TestAReaderThatDoesNotKeepUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	n := pipe(t, `{"path": %q, "timeout": "100ms"}`, path)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r := read(t, path)
	full := false
	var written []string
	for seq := 1; seq < 200 && !full; seq++ {
		e := event(seq)
		e.Subject = strings.Repeat("x", 3000)
		e.Priority = seq
		result := n.Events(e)
		if full = result.Reason() != ""; full {
			result.Retry(path + " is full: its reader does not keep up")
			break
		}
		written = append(written, Line(e))
	}
	if !full {
		t.Fatal("600 kB fit into a pipe that nobody empties")
	}
	for i, want := range written {
		if got := r.line(); got != want {
			t.Fatalf("line %d is %.40q…, want %.40q…", i, got, want)
		}
	}
	n.Events(event(500)).Delivered()
	if got := r.line(); got != "INSTANCE \"i500\" MASTER 100\n" {
		t.Errorf("after the pipe was emptied came %q", got)
	}
}

func TestSomethingElseInThePlaceOfThePipe(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := pipe(t, `{"path": %q}`, path)
	n.Warned("path", "no named pipe")
	n.Events(event(1)).Retry("is no named pipe")
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file has %q now", text)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	pipe(t, `{"path": %q}`, link).Events(event(1)).Retry("too many levels of symbolic links")
	pipe(t, `{"path": %q}`, filepath.Join(dir, "nowhere", "fifo")).Events(event(1)).Retry("make the pipe")
	pipe(t, `{"path": "fifo"}`).Invalid("path", "no absolute path")
	pipe(t, `{"path": "/run/fifo", "mode": "0999"}`).Invalid("mode", "")
}

func TestTheSuite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r := read(t, path)
	pipe(t, `{"path": %q}`, path).Conformance()
	if got := r.line(); got != "INSTANCE \"test\" MASTER 150\n" {
		t.Errorf("the pipe has %q", got)
	}
}
