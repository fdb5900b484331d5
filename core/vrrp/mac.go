package vrrp

// VirtualMAC is the hardware address of a virtual router (RFC 9568 section 7.3): 00:00:5e:00:01 or, over IPv6, 00:00:5e:00:02, and
// the VRID.
func VirtualMAC(vrid uint8, six bool) [6]byte {
	family := byte(1)
	if six {
		family = 2
	}
	return [6]byte{0, 0, 0x5e, 0, family, vrid}
}

// IsVirtualMAC tells whether a hardware address is that of a virtual router, which every router of it may have.
func IsVirtualMAC(mac [6]byte) bool {
	return mac == VirtualMAC(mac[5], false) || mac == VirtualMAC(mac[5], true)
}
