package guard

import (
	"net/netip"
	"testing"
	"time"
)

func TestAMasterStaysOrLetsGo(t *testing.T) {
	rival := func(o Owner) Tenure {
		return Tenure{
			Heard: VoiceHeard, Name: "lb2", Own: Owner{Epoch: 3, Priority: 150, Name: "lb1"}, Other: o, Master: true, Rival: time.Second, Interval: time.Second, Preempt: true,
		}
	}
	from := func(own, other string) Tenure {
		t := rival(Owner{Epoch: 3, Priority: 150, Name: "lb2"})
		t.Own.Source, _ = netip.ParseAddr(own)
		t.Other.Source, _ = netip.ParseAddr(other)
		return t
	}
	byEpoch := func(t Tenure) Tenure { t.Preempt = false; return t }
	young := func(t Tenure) Tenure { t.Rival = 900 * time.Millisecond; return t }
	parted := func(t Tenure) Tenure { t.Rival, t.Parted = 0, true; return t }
	for _, c := range []struct {
		name string
		in   Tenure
		want Stay
	}{
		{"nothing is known", Tenure{}, Keep},
		{"all is well", Tenure{References: VoiceHeard, Heard: VoiceHeard, Reaches: true, Eligible: true}, Keep},
		{"no reference answers, and the peer reaches them", Tenure{References: VoiceSilent, Configured: 1, Heard: VoiceHeard, Reaches: true, Eligible: true}, HandOver},
		{"no reference answers, and the peer that reaches them is in FAULT", Tenure{References: VoiceSilent, Configured: 1, Heard: VoiceHeard, Reaches: true}, KeepAlone},
		{
			"no reference answers, and the peer that reaches them is MASTER, with the worse claim",
			Tenure{
				References: VoiceSilent, Configured: 1, Heard: VoiceHeard, Reaches: true, Master: true, Rival: time.Second, Preempt: true,
				Own: Owner{Priority: 150}, Other: Owner{Priority: 100},
			},
			Release,
		},
		{
			"the same for a moment, as in an election",
			Tenure{
				References: VoiceSilent, Configured: 1, Heard: VoiceHeard, Reaches: true, Master: true, Preempt: true, Interval: time.Second,
				Own: Owner{Priority: 150}, Other: Owner{Priority: 100},
			},
			KeepAlone,
		},
		{"no reference answers, nor the peer", Tenure{References: VoiceSilent, Configured: 2, Heard: VoiceHeard, Eligible: true}, KeepAlone},
		{"no reference answers, and the peer is silent", Tenure{References: VoiceSilent, Configured: 2, Heard: VoiceSilent}, Release},
		{"the only reference is silent, and the peer too", Tenure{References: VoiceSilent, Configured: 1, Heard: VoiceSilent}, KeepAlone},
		{"no reference answers, and the peer was never heard", Tenure{References: VoiceSilent, Configured: 2}, KeepAlone},
		{"a reference is asked", Tenure{References: VoiceAsked, Configured: 2, Heard: VoiceSilent}, Keep},
		{"the peer asks and outranks", Tenure{Heard: VoiceHeard, Eligible: true, Asked: true, Outranked: true}, HandOver},
		{"the peer asks and does not outrank", Tenure{Heard: VoiceHeard, Eligible: true, Asked: true}, Keep},
		{"a better rival", rival(Owner{Epoch: 2, Priority: 200, Name: "lb2"}), Release},
		{"a better rival, for less than an advert", young(rival(Owner{Epoch: 2, Priority: 200, Name: "lb2"})), Keep},
		{"a better rival that was not heard until now", parted(rival(Owner{Epoch: 2, Priority: 200, Name: "lb2"})), Release},
		{"a lesser rival that was not heard until now", parted(rival(Owner{Epoch: 2, Priority: 100, Name: "lb2"})), Keep},
		{"a better peer that was not heard until now and is no master", Tenure{Heard: VoiceHeard, Other: Owner{Priority: 200}, Parted: true, Preempt: true}, Keep},
		{"a lesser rival with a newer ownership", rival(Owner{Epoch: 4, Priority: 100, Name: "lb2"}), Keep},
		{"a lesser rival with a newer ownership, without preemption", byEpoch(rival(Owner{Epoch: 4, Priority: 100, Name: "lb2"})), Release},
		{"a better rival with an older ownership, without preemption", byEpoch(rival(Owner{Epoch: 2, Priority: 200, Name: "lb2"})), Keep},
		{"a better rival whose epoch is unknown, without preemption", byEpoch(rival(Owner{Priority: 200, Name: "lb2"})), Release},
		{"a rival of the same rank with the greater name", rival(Owner{Epoch: 3, Priority: 150, Name: "lb2"}), Release},
		{"a rival of the same rank with the lower address, and the greater name", from("10.0.0.128", "10.0.0.2"), Keep},
		{"a rival of the same rank with the higher address: the comparison is unsigned", from("10.0.0.2", "10.0.0.128"), Release},
		{"a rival of the same rank of a former release, which tells no address", from("10.0.0.128", ""), Release},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, why := Judge(c.in)
			if got != c.want {
				t.Errorf("Judge = %s (%s), want %s", got, why, c.want)
			}
			if (why == "") != (got == Keep) {
				t.Errorf("the reason of %s is %q", got, why)
			}
		})
	}
}

// Of two masters that see each other exactly one lets go.
func FuzzOneOfTwoMastersLetsGo(f *testing.F) {
	f.Add(uint64(1), uint8(100), uint64(2), uint8(150), false, []byte{}, []byte{})
	f.Add(uint64(0), uint8(100), uint64(0), uint8(100), true, []byte{10, 0, 0, 1}, []byte{10, 0, 0, 1})
	f.Add(uint64(0), uint8(100), uint64(0), uint8(100), true, []byte{10, 0, 0, 1}, []byte{200, 0, 0, 1})
	f.Fuzz(func(t *testing.T, epoch1 uint64, priority1 uint8, epoch2 uint64, priority2 uint8, byEpoch bool, source1, source2 []byte) {
		address := func(b []byte) netip.Addr { a, _ := netip.AddrFromSlice(b); return a }
		a, b := Owner{epoch1, priority1, address(source1), "lb1"}, Owner{epoch2, priority2, address(source2), "lb2"}
		if a.Less(b, byEpoch) == b.Less(a, byEpoch) {
			t.Errorf("%v less than %v: %v, and the other way round as well", a, b, a.Less(b, byEpoch))
		}
	})
}
