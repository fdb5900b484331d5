package exec

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vipward/vipward/sdk"
)

// arguments are what the command is called with. For an instance they are keepalived's: INSTANCE, its name, the state and
// the priority; for a sync group GROUP, its name, the state and 0; for a real server RS, its service and endpoint, UP or DOWN, and the weight; for anything else alike.
func arguments(e sdk.Event) []string {
	number := strconv.Itoa(e.Priority)
	switch e.Kind {
	case "instance":
		return []string{"INSTANCE", e.Subject, keepalivedState(e.To), number}
	case "group":
		return []string{"GROUP", e.Subject, keepalivedState(e.To), number}
	case "real_server":
		return []string{"RS", strings.TrimSpace(e.Service + " " + e.Subject), strings.ToUpper(e.To), number}
	}
	return []string{strings.ToUpper(e.Kind), e.Subject, e.To, number}
}

// keepalivedState is a state in keepalived's words: scripts know MASTER, BACKUP, FAULT and STOP only. VIPWARD_TO has ours.
func keepalivedState(state string) string {
	switch state {
	case "INIT":
		return "STOP"
	case "HOLD":
		return "BACKUP"
	}
	return state
}

// environment is the event as words for the environment.
func environment(e sdk.Event) []string {
	var env []string
	for _, v := range [][2]string{
		{"SEQ", strconv.FormatUint(e.Seq, 10)},
		{"TIME", e.Time.UTC().Format(time.RFC3339Nano)},
		{"NODE", e.Node},
		{"CODE", e.Code},
		{"SEVERITY", e.Severity},
		{"KIND", e.Kind},
		{"SUBJECT", e.Subject},
		{"SERVICE", e.Service},
		{"FROM", e.From},
		{"TO", e.To},
		{"PRIORITY", strconv.Itoa(e.Priority)},
		{"REASON", e.Reason},
	} {
		env = append(env, "VIPWARD_"+v[0]+"="+v[1])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Attrs)) {
		env = append(env, "VIPWARD_ATTR_"+strings.Map(variable, name)+"="+e.Attrs[name])
	}
	return env
}

// variable is a letter of the name of a variable of the environment.
func variable(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return r - 'a' + 'A'
	case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return r
	}
	return '_'
}
