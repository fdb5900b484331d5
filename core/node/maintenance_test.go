package node

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/guard"
	"github.com/vipward/vipward/core/heartbeat"
	"github.com/vipward/vipward/core/vrrp"
)

// peerAdvert is one advert of the other node.
func (r *rig) peerAdvert(priority uint8) {
	r.give(received("10.77.0.2", priority, time.Second))
}

func (r *rig) lastAnswer() Answer {
	r.t.Helper()
	if len(r.answers) == 0 {
		r.t.Fatal("there is no answer")
	}
	return r.answers[len(r.answers)-1]
}

func TestMaintenanceHandsOverAndStaysOut(t *testing.T) {
	r := master(t, config())
	r.give(Maintain{On: true, Reason: "a new disk", ID: 1})
	if len(r.answers) != 0 || len(r.desired.Addresses) == 0 {
		t.Fatalf("answers %+v, addresses %v: want none before the peer has taken over", r.answers, r.desired.Addresses)
	}
	r.peerAdvert(100)
	r.wait(100 * time.Millisecond)
	r.wantState(vrrp.Fault)
	if a := r.lastAnswer(); a.ID != 1 || a.Err != nil || !strings.Contains(a.Text, "lb1 is in maintenance") {
		t.Errorf("answer %+v", a)
	}
	if got := r.node.Snapshot(r.now).Instances[0].Reason; got != "maintenance: a new disk" {
		t.Errorf("the reason is %q", got)
	}
	r.wait(time.Minute) // the peer is silent, and this node does not take over
	r.wantState(vrrp.Fault)
	r.wantEvent("node lb1: active -> maintenance (a new disk)")
	r.give(Maintain{On: true, ID: 2})
	if a := r.lastAnswer(); a.Err != nil || !strings.Contains(a.Text, "already: a new disk") {
		t.Errorf("answer to a second command: %+v", a)
	}
	r.give(Maintain{ID: 3})
	r.wantState(vrrp.Backup) // at once
	r.wait(4 * time.Second)
	r.wantState(vrrp.Master)
	if m := r.node.Memory(); m.Maintenance.On() {
		t.Errorf("still kept: %+v", m)
	}
}

func TestMaintenanceThatNobodyTakesOverFrom(t *testing.T) {
	r := master(t, config())
	r.give(Maintain{On: true, Reason: "a new disk", ID: 1})
	r.wait(20 * time.Second)
	r.wantState(vrrp.Master)
	if a := r.lastAnswer(); !errors.Is(a.Err, ErrTimeout) || !strings.Contains(a.Err.Error(), "web stays MASTER here: no other router took over") {
		t.Errorf("answer %+v", a)
	}
	if r.node.Memory().Maintenance.On() {
		t.Error("it is in maintenance all the same")
	}
	if told := strings.Join(r.events, "\n"); !strings.Contains(told, "node.maintenance_refused (web stays MASTER here: no other router took over") || strings.Contains(told, "active -> active") {
		t.Errorf("told is\n%s", told)
	}
	r.give(Maintain{On: true, Reason: "fire", Force: true, ID: 2})
	r.wait(20 * time.Second)
	r.wantState(vrrp.Fault)
	if a := r.lastAnswer(); a.ID != 2 || a.Err != nil || len(r.desired.Addresses) != 0 {
		t.Errorf("answer %+v, addresses %v", a, r.desired.Addresses)
	}
}

func TestMaintenanceOutlivesARestart(t *testing.T) {
	was := Memory{Maintenance: Maintenance{Since: time.Unix(5, 0), Reason: "a new disk"}, Fenced: []string{"lb2"}}
	r := &rig{t: t, now: time.Unix(1000, 0), node: New(config())}
	r.give(links(true))
	r.give(Start{Memory: was})
	r.wait(time.Minute)
	r.wantState(vrrp.Fault)
	if got := r.node.Memory(); got.Maintenance != was.Maintenance || len(got.Fenced) != 1 {
		t.Errorf("Memory = %+v, want %+v", got, was)
	}
}

func TestTheEndOfTheDaemonAnswersACommandAboutMaintenance(t *testing.T) {
	r := master(t, config())
	r.give(Maintain{On: true, ID: 1})
	r.give(Maintain{On: true, ID: 2})
	if a := r.lastAnswer(); a.ID != 2 || !errors.Is(a.Err, ErrRefused) {
		t.Errorf("a second command at the same time is answered %+v", a)
	}
	r.give(Stop{})
	if a := r.lastAnswer(); a.ID != 1 || !errors.Is(a.Err, ErrRefused) {
		t.Errorf("answer %+v", a)
	}
	r.wait(10 * time.Second)
	if !r.stopped {
		t.Error("it did not stop")
	}
}

func TestWhoHasFencedSaysSoUntilItIsKnown(t *testing.T) {
	n := New(config())
	n.hasFenced(Peer{Name: "lb2"})
	n.hasFenced(Peer{Name: "lb2"})
	n.hasFenced(Peer{Name: "lb3", Fencing: guard.Fencing{AutoRejoin: true}})
	if len(n.Memory().Fenced) != 1 || n.tellFenced("lb2") != heartbeat.FencedYou || n.tellFenced("lb3") != 0 {
		t.Errorf("Fenced = %v", n.Memory().Fenced)
	}
	n.hearFenced(time.Time{}, heartbeat.Message{Node: "lb2"})
	n.hearFenced(time.Time{}, heartbeat.Message{Node: "lb3", Flags: heartbeat.Maintenance})
	if n.tellFenced("lb2") == 0 {
		t.Error("it was not lb2 that has said so")
	}
	n.hearFenced(time.Time{}, heartbeat.Message{Node: "lb2", Flags: heartbeat.Maintenance})
	if n.tellFenced("lb2") != 0 {
		t.Error("lb2 knows it, and is told on")
	}
}

func TestAFencedNodeComesBackInMaintenance(t *testing.T) {
	told := heartbeat.Message{Node: "lb2", Boot: 7, Flags: heartbeat.FencedYou}
	r := start(t, config())
	r.node.hearFenced(r.now, told)
	r.give(Timeout{})
	r.wait(time.Minute)
	r.wantState(vrrp.Fault)
	if got := r.node.Memory().Maintenance.Reason; !strings.Contains(got, "lb2 had this node fenced") {
		t.Errorf("the reason is %q", got)
	}
	r.give(Maintain{ID: 1})
	r.node.hearFenced(r.now, told) // it has not heard yet
	r.wait(5 * time.Second)
	r.wantState(vrrp.Master)
	told.Boot = 8 // of another run: a new fencing
	r.node.hearFenced(r.now, told)
	r.give(Timeout{})
	r.peerAdvert(100)
	r.wait(time.Second)
	r.wantState(vrrp.Fault)
}

func TestAutoRejoinTakesPartAtOnce(t *testing.T) {
	cfg := config()
	cfg.Guard.AutoRejoin = true
	r := start(t, cfg)
	r.node.hearFenced(r.now, heartbeat.Message{Node: "lb2", Boot: 7, Flags: heartbeat.FencedYou})
	r.wait(20 * time.Second)
	r.wantState(vrrp.Master)
}
