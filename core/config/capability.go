package config

import (
	"slices"
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

// capabilities takes what a plugin may do besides what its user may.
func (b *block) capabilities(p Plugin) []string {
	names, places := b.names("capabilities")
	var out []string
	for i, given := range names {
		name := strings.TrimPrefix(strings.ToLower(given), "cap_")
		if _, ok := CapabilityNumber(name); !ok {
			b.fault(places[i], "there is no capability %q", given).because(
				"See capabilities(7); for sockets of ICMP it is \"net_raw\".%s", suggest(name, capabilityNames()))
			continue
		}
		out = append(out, name)
	}
	if len(out) > 0 && p.User == "" {
		b.fault(b.where("capabilities"), "capabilities of plugin %q without a user", p.Name).because(
			"Without user it runs as the daemon itself does, with all that the daemon may. Name a user for it to run as.")
	}
	return out
}
