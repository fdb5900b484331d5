package kernel

import (
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// MissingScheduler says what mends that the running kernel has no such scheduler of IPVS, neither loaded nor among its modules. It
// is empty where the kernel has it, and where that cannot be known: where its modules cannot be read, or have no IPVS at all.
func MissingScheduler(name string) string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return missingScheduler(os.DirFS("/"), unix.ByteSliceToString(u.Release[:]), name)
}

func missingScheduler(root fs.FS, release, name string) string {
	if loaded(root, "ip_vs_"+name) {
		return ""
	}
	dir := "lib/modules/" + release
	known := map[string]bool{}
	for _, list := range []string{"modules.dep", "modules.builtin"} {
		b, err := fs.ReadFile(root, dir+"/"+list)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			module, _, _ := strings.Cut(path.Base(file), ".") // also of ip_vs.ko.xz
			known[module] = true
		}
	}
	if !known["ip_vs"] || known["ip_vs_"+name] {
		return ""
	}
	return "Linux " + release + " of this machine has no module ip_vs_" + name +
		" below /" + dir + ". Install the package with the rest of its modules (linux-modules-extra-" + release + " of Ubuntu, for example)"
}

// loaded tells whether the kernel has a module by now.
func loaded(root fs.FS, module string) bool {
	_, err := fs.Stat(root, "sys/module/"+module)
	return err == nil
}
