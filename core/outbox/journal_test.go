package outbox

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vipward/vipward/core/event"
)

// journalOf is a journal of records.
func journalOf(lines ...line) string {
	var b strings.Builder
	for _, l := range lines {
		b.Write(l.encode())
	}
	return b.String()
}

func addition1(id uint64, subject string, to ...string) line {
	return added(&item{id: id, text: fmt.Appendf(nil, `{"seq":%d,"subject":%q}`, id+100, subject)}, to)
}

func TestAJournalSaysWhatIsStillToBeDone(t *testing.T) {
	begin := line{Start: &heading{1, 7, 90}}
	web, db := addition1(8, "web", "chat", "ops"), addition1(9, "db", "ops")
	good := journalOf(begin, web, db)
	for _, tt := range []struct {
		name, text, want, damage string
	}{
		{"none", "", "last 0 seq 0", ""},
		{"an empty one remembers the numbers", journalOf(begin), "last 7 seq 90", ""},
		{"events for one and for two", good, "last 9 seq 109 chat:web ops:web,db", ""},
		{"one is settled for one of two", good + journalOf(done("ops", []*item{{id: 8}})), "last 9 seq 109 chat:web ops:db", ""},
		{"several are settled at once", good + journalOf(done("ops", []*item{{id: 9}, {id: 8}})), "last 9 seq 109 chat:web", ""},
		{"what is settled twice, or unknown", good + journalOf(done("ops", []*item{{id: 8}}), done("ops", []*item{{id: 8}, {id: 4}})), "last 9 seq 109 chat:web ops:db", ""},
		{"the daemon was killed while it wrote", good[:len(good)-3], "last 8 seq 108 chat:web ops:web", ""},
		{"a line is broken", strings.Replace(good, `"web"`, `"wub"`, 1), "last 9 seq 109 ops:db", "line 2: its checksum is wrong"},
		{"a line is no record", journalOf(begin) + "hello\n" + journalOf(db), "last 9 seq 109 ops:db", "line 2: its checksum is wrong"},
		{"zeros at the end", good + "\x00\x00\x00\n", "last 9 seq 109 chat:web ops:web,db", "line 4: its checksum is wrong"},
		{"another version", journalOf(line{Start: &heading{2, 7, 90}}, db), "last 9 seq 109 ops:db", "line 1: its version is 2, not 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := replay([]byte(tt.text))
			got := fmt.Sprintf("last %d seq %d", s.last, s.seq)
			for _, name := range []string{"chat", "ops"} {
				var subjects []string
				for _, it := range s.open[name] {
					subjects = append(subjects, it.event.Subject)
				}
				if len(subjects) > 0 {
					got += " " + name + ":" + strings.Join(subjects, ",")
				}
			}
			damage := ""
			if err != nil {
				damage = err.Error()
			}
			if got != tt.want || damage != tt.damage {
				t.Errorf("replay = %s (%s), want %s (%s)", got, damage, tt.want, tt.damage)
			}
		})
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte(journalOf(line{Start: &heading{1, 7, 90}}, addition1(8, "web", "ops"), done("ops", []*item{{id: 8}}))))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = replay(text) })
}

// The event that comes back is the one that went in.
func TestAnEventSurvivesTheJournal(t *testing.T) {
	o := New(Options{Journal: "unused"})
	o.queues["ops"] = newQueue()
	o.queues["ops"].cfg = notifier("ops", 0)
	e := event.Event{
		Seq: 5, Node: "lb1", Code: "real_server.state", Severity: event.Warning, Kind: event.RealServer, Subject: "10.0.0.1:80",
		Service: "web", From: "up", To: "down", Priority: 3, Reason: "a “quote”,\na line", Notify: []string{"ops"},
	}
	o.Add(e)
	s, err := replay(o.snapshot())
	if err != nil || len(s.open["ops"]) != 1 {
		t.Fatalf("replay = %+v, %v", s, err)
	}
	e.Notify = nil // that is decided
	if got := s.open["ops"][0].event; fmt.Sprint(got) != fmt.Sprint(e) || got.Reason != e.Reason || got.Priority != e.Priority {
		t.Errorf("got %+v, want %+v", got, e)
	}
}
