package scenario

import "testing"

func TestAFailureIsNotedAndTheCleanupsRun(t *testing.T) {
	cleaned := false
	r := Play(Scenario{Name: "x", Run: func(t *T) {
		t.Cleanup(func() { cleaned = true })
		t.Fatalf("broken")
	}}, "")
	if r.OK || len(r.Failures) != 1 || !cleaned {
		t.Errorf("the result is %+v and the cleanup ran: %v; want one failure, and true", r, cleaned)
	}
	r = Play(Scenario{Name: "y", Run: func(*T) { panic("oh") }}, "")
	if r.OK {
		t.Errorf("a panic counts as passed")
	}
	if r = Play(Scenario{Name: "z", Run: func(*T) {}}, ""); !r.OK {
		t.Errorf("a scenario without a failure has failed: %v", r.Failures)
	}
}
