package kernel

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestMissingScheduler(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	const dep = "lib/modules/6.1.0/modules.dep"
	const modules = "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/lib/libcrc32c.ko\nkernel/net/netfilter/ipvs/ip_vs_rr.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n"
	for _, tt := range []struct {
		name    string
		root    fstest.MapFS
		missing bool
	}{
		{"it is a module", fstest.MapFS{dep: file(modules + "kernel/net/netfilter/ipvs/ip_vs_mh.ko: x\n")}, false},
		{"it is built in", fstest.MapFS{dep: file(modules), "lib/modules/6.1.0/modules.builtin": file("kernel/net/netfilter/ipvs/ip_vs_mh.ko\n")}, false},
		{"it is loaded", fstest.MapFS{dep: file(modules), "sys/module/ip_vs_mh/refcnt": file("0")}, false},
		{"it is not there", fstest.MapFS{dep: file(modules)}, true},
		{"nobody knows the modules", fstest.MapFS{}, false},
		{"there is no IPVS at all", fstest.MapFS{dep: file("kernel/lib/libcrc32c.ko:\n")}, false},
		{"those of another kernel", fstest.MapFS{"lib/modules/6.2.0/modules.dep": file(modules)}, false},
	} {
		got := missingScheduler(tt.root, "6.1.0", "mh")
		if (got != "") != tt.missing || tt.missing && !strings.HasPrefix(got, "Linux 6.1.0 of this machine has no module ip_vs_mh below /lib/modules/6.1.0.") {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}
