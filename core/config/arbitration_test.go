package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipward/vipward/core/guard"
)

const witnessed = "witness \"tcp\" \"urn\" {}\n" // line 7, after fencedPair

func TestArbitration(t *testing.T) {
	g := mustLoad(t, fencedPair+`
witness "tcp" "urn" { timeout = "800ms" }
arbitration {
  probe_vip       = false
  references      = ["10.0.0.254", "gateway"]
  on_hold_expired = "hold"
  witness         = "urn"
  witness_ttl     = "4s"
  on_witness_loss = "release"
}
`, "lb1").Node.Guard
	if g.ProbeVIP || !g.Gateway || !slices.Equal(g.References, []netip.Addr{netip.MustParseAddr("10.0.0.254")}) ||
		g.OnHoldExpired != guard.HoldOn || g.Witness != "urn" || g.WitnessTTL != 4*time.Second || g.OnWitnessLoss != guard.WitnessRelease {
		t.Errorf("Guard = %+v", g)
	}
	g = mustLoad(t, fencedPair, "lb1").Node.Guard
	if !g.ProbeVIP || !g.Gateway || g.References != nil || g.OnHoldExpired != guard.HoldOn || g.Witness != "" {
		t.Errorf("the defaults are %+v", g)
	}
	if g := mustLoad(t, fencedPair+"arbitration { references = [] }", "lb1").Node.Guard; g.Gateway {
		t.Error("references = [] asks the gateway")
	}
}

func TestRequiredFencingReleasesWithoutTheWitness(t *testing.T) {
	g := mustLoad(t, fencedPair+witnessed+"arbitration { witness = \"urn\" }\n"+
		"fencing \"lb1\" {\n mode = \"required\"\n level { devices = [\"pdu\"] }\n}\nfencing \"lb2\" {\n mode = \"required\"\n level { devices = [\"pdu\"] }\n}", "lb1").Node.Guard
	if g.OnWitnessLoss != guard.WitnessRelease || g.WitnessTTL != witnessTTL {
		t.Errorf("Guard = %+v", g)
	}
}

func TestTheFaultsOfArbitration(t *testing.T) {
	const both = "fencing \"lb1\" {\n mode = \"required\"\n level { devices = [\"pdu\"] }\n}\nfencing \"lb2\" {\n mode = \"required\"\n level { devices = [\"pdu\"] }\n}\n" // lines 8 to 15
	for _, tt := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"a witness that is not declared", "\narbitration { witness = \"urn\" }", 8, `no witness "urn"`},
		{"a witness that nobody names", witnessed, 7, `Name it: arbitration { witness = "urn" }`},
		{"a mistyped witness", witnessed + "witness \"tcp\" \"box\" {}\narbitration {\n witness = \"urne\"\n}", 0, `Did you mean "urn"?`},
		{"a time without a witness", "\narbitration { witness_ttl = \"4s\" }", 8, "witness_ttl without a witness"},
		{"a policy without a witness", "\narbitration { on_witness_loss = \"release\" }", 8, "on_witness_loss without a witness"},
		{"a grant that is too short", witnessed + "arbitration {\n witness = \"urn\"\n witness_ttl = \"2s\"\n}", 10, "A grant lasts 3s to 5m"},
		{"a grant of a half second", witnessed + "arbitration {\n witness = \"urn\"\n witness_ttl = \"3500ms\"\n}", 10, "in whole seconds"},
		{"a witness that is too slow", "witness \"tcp\" \"urn\" { timeout = \"2s\" }\narbitration {\n witness = \"urn\"\n}", 8, `Write witness_ttl = "6s", or shorten the timeout`},
		{"a witness with a timeout out of range", "witness \"tcp\" \"urn\" { timeout = \"20s\" }\narbitration {\n witness = \"urn\"\n witness_ttl = \"60s\"\n}", 7, "One call of a witness may take 100ms to 10s"},
		{"a policy that there is not", witnessed + "arbitration {\n witness = \"urn\"\n on_witness_loss = \"relaese\"\n}", 10, `Did you mean "release"?`},
		{"a policy that fencing overrules", witnessed + both + "arbitration {\n witness = \"urn\"\n on_witness_loss = \"failsafe\"\n}", 18, `does not hold with fencing required`},
		{"a fencing at the end of HOLD that there is not", "\narbitration { on_hold_expired = \"fence\" }", 8, "no node can be fenced"},
		{"a takeover at the end of HOLD", "\narbitration { on_hold_expired = \"takeover\" }", 8, "makes two owners"},
		{"a reference that is no address", "\narbitration { references = [\"gatway\"] }", 8, "references is not an address"},
		{"a reference twice", "\narbitration { references = [\"10.0.0.9\", \"10.0.0.9\"] }", 8, "references has 10.0.0.9 twice"},
		{"a reference to oneself", "\narbitration { references = [\"127.0.0.1\"] }", 8, "127.0.0.1 cannot be a reference"},
		{"a reference that is a node", "\narbitration { references = [\"10.0.0.2\"] }", 8, "is the address of node"},
		{"two blocks", "arbitration {}\narbitration {}", 8, "arbitration is declared twice"},
		{"two witnesses of one name", witnessed + witnessed + "arbitration { witness = \"urn\" }", 8, `witness "urn" is declared twice`},
	} {
		_, diags := loadText(t, fencedPair+tt.text, Options{Node: "lb1", Plugins: plugins()})
		text := strings.Join(strings.Fields(textOf(diags)), " ")
		if tt.line == 0 && strings.Contains(text, tt.want) {
			continue
		}
		if len(diags) != 1 || diags[0].Line != tt.line || !strings.Contains(text, tt.want) {
			t.Errorf("%s: want %q in line %d:\n%s", tt.name, tt.want, tt.line, textOf(diags))
		}
	}
}
