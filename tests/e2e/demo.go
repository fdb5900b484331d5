package e2e

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vipward/vipward/tests/lab/probe"
	"github.com/vipward/vipward/tests/lab/scenario"
	"github.com/vipward/vipward/tests/lab/topology"
)

// Demo plays a pair of directors and what happens to it, and tells it to out as it goes on. It needs IPVS. Bin is the
// directory of the binaries. The result has failed where the story did not go as told.
func Demo(bin string, out io.Writer) scenario.Result {
	return scenario.Play(scenario.Scenario{Name: "demo", Run: func(t *T) { story{newService(t), out}.tell() }}, bin)
}

// story is the laboratory with a listener.
type story struct {
	*lab
	out io.Writer
}

func (s story) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.Logf("%s", line)
	if line != "" {
		line = fmt.Sprintf("%5.1fs  %s", time.Since(s.Began).Seconds(), line)
	}
	fmt.Fprintln(s.out, line)
}

func (s story) tell() {
	s.say("A switch, a client, two directors (lb1, lb2) and two web servers (rs1, rs2), each in a network namespace of its own.")
	s.say("The directors read one file; the address they share is %v, direct routing, round robin.", topology.VIP)
	s.begin()
	s.traffic()
	s.deadServer()
	s.crash()
	s.handover()
	s.end()
}

func (s story) begin() {
	s.up()
	s.serving()
	s.say("")
	s.say("The pair is up: lb1 is %s (priority 150), lb2 is %s (priority 100). IPVS of lb1:", s.lb1.state(), s.lb2.state())
	for line := range strings.Lines(s.lb1.table()) {
		s.say("    ipvsadm %s", strings.TrimSpace(line))
	}
}

func (s story) traffic() {
	s.say("")
	s.say("The client asks for http://%v/index.html, 40 times a second, each time over a fresh connection.", topology.VIP)
	stop := s.measure(requests())
	time.Sleep(3 * time.Second)
	flow := stop().HTTP
	s.say("    requests  answered by rs1  answered by rs2  lost")
	s.say("    %8d  %15d  %15d  %4d", len(flow), flow.By()["rs1"], flow.By()["rs2"], len(flow.Lost()))
	s.expect("both servers answer and nothing is lost", len(flow.Lost()) == 0 && len(flow.By()) == 2)
}

func (s story) deadServer() {
	s.say("")
	s.say("nginx on rs1 dies.")
	stop := s.measure(requests())
	s.rs1.stop()
	took := s.Eventually("rs1 has left", leave, func() error { return s.lb1.has(server1, false) })
	left := time.Now()
	s.say("    lb1 took it out after %.1f s: %s", took.Seconds(), s.lb1.status().server(server1).Reason)
	time.Sleep(2 * time.Second)
	s.rs1.start()
	took = s.Eventually("rs1 is back", enter, func() error { return s.lb1.has(server1, true) })
	s.say("    nginx runs again, and rs1 was back in service %.1f s later.", took.Seconds())
	time.Sleep(time.Second)
	flow := stop().HTTP
	s.say("    %d requests failed until rs1 was out, %d of %d after that.",
		len(flow.Between(time.Time{}, left).Lost()), len(flow.Between(left, time.Time{}).Lost()), len(flow.Between(left, time.Time{})))
	s.expect("no request fails after the server has left", len(flow.Between(left, time.Time{}).Lost()) == 0)
}

func (s story) crash() {
	s.say("")
	s.say("kill -9 of vipward and its plugins on lb1, the master.")
	stop := s.measure(requests())
	time.Sleep(500 * time.Millisecond)
	s.lb1.kill()
	took := s.lb2.await("MASTER", down+slack)
	s.alone(topology.LB2)
	s.say("    lb2 is MASTER after %.1f s. The kernel of lb1 dropped the address by itself when its lease ran out: one owner.", took.Seconds())
	time.Sleep(time.Second)
	report := stop()
	silence, _ := report.HTTP.Silence()
	s.say("    Until then the kernel went on serving. Outage as the client saw it: %.2f s; two owners of the address: %d ms.", silence.Seconds(), report.Wire.TwoOwners().Milliseconds())
	s.expect("the outage is within the down interval", silence <= down+slack)

	stop = s.measure(requests())
	s.lb1.start()
	s.lb1.await("MASTER", down+notice+slack)
	time.Sleep(500 * time.Millisecond)
	silence, _ = stop().HTTP.Silence()
	s.say("    vipward runs on lb1 again and has taken the address back; longest silence meanwhile %d ms.", silence.Milliseconds())
	s.lb2.await("BACKUP", slack)
}

func (s story) handover() {
	s.say("")
	s.say("An operator wants lb1 free: vipward failover web")
	s.serving()
	s.echoes()
	stop := s.measure(probe.Config{UDP: 10 * time.Millisecond, HTTP: 25 * time.Millisecond})
	time.Sleep(500 * time.Millisecond)
	for line := range strings.Lines(s.lb1.do("failover", "web")) {
		s.say("    %s", strings.TrimSpace(line))
	}
	s.lb2.await("MASTER", slack)
	time.Sleep(time.Second)
	report := stop()
	silence, _ := report.UDP.Silence()
	s.say("    %d datagrams to the address: %d lost, longest time without an answer %d ms.",
		len(report.UDP), len(report.UDP.Lost()), silence.Milliseconds())
	s.say("    %d requests over connections of their own: %d failed. A connection that is open in the moment of the move breaks",
		len(report.HTTP), len(report.HTTP.Lost()))
	s.say("    where its state is not shared between the directors.")
	s.expect("a planned hand-over loses no datagram", len(report.UDP.Lost()) == 0)
	s.expect("only what was open in the moment of the move may break", len(report.HTTP.Lost()) <= openAtMove)
}

func (s story) end() {
	s.say("")
	s.lb1.terminate()
	s.lb2.terminate()
	for _, d := range []*director{s.lb1, s.lb2} {
		s.nothingLeft(d)
		s.expect("nothing is left in IPVS", d.table() == "")
	}
	s.say("Both stopped in order: no address, no IPVS entry, no process and no socket of theirs is left.")
}

func (s story) expect(what string, ok bool) {
	if !ok {
		s.Errorf("not as promised: %s", what)
	}
}
