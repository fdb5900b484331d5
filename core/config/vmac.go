package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
)

// readVMAC reads whether the VIPs have a hardware address of their own, and names the interface that has it: as keepalived does,
// unless the configuration says otherwise. It follows the addresses, for the family decides.
func (i *instance) readVMAC() {
	b := i.block
	if !b.flag("use_vmac", false) {
		if _, named := b.take("vmac_interface"); named {
			b.fault(b.where("vmac_interface"), "vmac_interface without use_vmac = true").because("Nothing is made without it. Write both, or none.")
		}
		return
	}
	family := ""
	if i.VRRP.IPv6() {
		family = "6"
	}
	i.VMAC = b.interfaceName("vmac_interface", fmt.Sprintf("vrrp%s.%d", family, i.VRRP.VRID))
	for _, p := range i.priorities {
		if p == 255 {
			b.fault(b.where("use_vmac"), "use_vmac with priority 255").because(
				"The owner has the addresses on an interface of its own already, with that one's MAC address. Write a priority of 1 to 254.")
			return
		}
	}
}

// holder gives an address its interface, where it names none: that of the virtual MAC address, or the instance's own.
func (i *instance) holder(k int, b *block) {
	a := &i.Addresses[k]
	if a.Interface = i.Interface; i.VMAC != "" {
		a.Interface = i.VMAC
	}
	a.Interface = b.interfaceName("interface", a.Interface)
	a.Label = b.addressLabel(a.Interface)
}

// checkVMACs reports an interface that would have to be made twice, or that carries adverts.
func (l *loading) checkVMACs() {
	seen := map[string]*instance{}
	for _, i := range l.instances {
		seen[i.Interface] = i
	}
	for _, i := range l.instances {
		if i.VMAC == "" {
			continue
		}
		if first, ok := seen[i.VMAC]; ok {
			at := i.vmacAt()
			l.fault(at, "the interface %s of %v is that of another vrrp_instance", i.VMAC, i).because(
				"%v at %s has it already. Write vmac_interface with a name that nobody has, up to 15 bytes, on the same machine.", first, place(first.block.at))
			continue
		}
		seen[i.VMAC] = i
	}
}

func (i *instance) vmacAt() hcl.Range {
	if i.block.given("vmac_interface") {
		return i.block.where("vmac_interface")
	}
	return i.block.where("use_vmac")
}
