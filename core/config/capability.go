package config

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// capabilityNames are the capabilities of Linux at their numbers (linux/capability.h).
func capabilityNames() []string {
	return strings.Fields(`chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable
		net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace
		sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control
		setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore`)
}

// CapabilityNumber is the kernel's number of a capability, by its name without CAP_ in lower case.
func CapabilityNumber(name string) (number int, ok bool) {
	n := slices.Index(capabilityNames(), name)
	return n, n >= 0
}

// CapabilityName is the name of a capability as [CapabilityNumber] takes it; one without a name here is told by its number.
func CapabilityName(number int) string {
	if names := capabilityNames(); number >= 0 && number < len(names) {
		return names[number]
	}
	return strconv.Itoa(number)
}

// AllCapabilities is the word for every capability that the daemon itself has.
const AllCapabilities = "all"

// capabilities takes what a plugin may do besides what its user may; nil where nothing is said about it.
func (b *block) capabilities() []string {
	if !b.given("capabilities") {
		return nil
	}
	names, places := b.names("capabilities")
	out := []string{}
	for i, given := range names {
		name := strings.TrimPrefix(strings.ToLower(given), "cap_")
		_, known := CapabilityNumber(name)
		switch {
		case name == AllCapabilities && len(names) > 1:
			b.fault(places[i], "capabilities has %q and others", given).because("%q is all that the daemon has. Write it alone.", AllCapabilities)
		case !known && name != AllCapabilities:
			b.fault(places[i], "there is no capability %q", given).because(
				"See capabilities(7); for sockets of ICMP it is \"net_raw\", and %q is all that the daemon has.%s",
				AllCapabilities, suggest(name, capabilityNames()))
		default:
			out = append(out, name)
		}
	}
	return out
}

// writable takes where a plugin may write; nil where nothing is said about it.
func (b *block) writable() []string {
	if !b.given("writable") {
		return nil
	}
	names, places := b.names("writable")
	out := []string{}
	for i, path := range names {
		if !filepath.IsAbs(path) {
			b.fault(places[i], "writable has %q, which is no absolute path", path).because(
				`Write the whole path of a directory or file, like "/var/lib/mine"; "/" lets the plugin write wherever its user may.`)
			continue
		}
		out = append(out, filepath.Clean(path))
	}
	return out
}
