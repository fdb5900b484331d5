package config

import (
	"strings"
	"testing"
)

func TestVIPsAreOnTheInterfaceOfTheVirtualMAC(t *testing.T) {
	c := mustLoad(t, instanceWith("web", `
  use_vmac = true
  virtual_address "10.0.0.100/32" {}
  virtual_address "10.0.1.100/32" { interface = "eth1" }
  virtual_address "10.0.0.101/32" { label = "vrrp.51:x" }`)+instanceWith("web6", `
  use_vmac = true
  virtual_address "fe80::100/128" {}`)+strings.Replace(instanceWith("own", `
  use_vmac = false
  virtual_address "10.0.2.100/32" {}`), "51", "52", 1)+strings.Replace(instanceWith("named", `
  use_vmac = true
  vmac_interface = "web0"
  virtual_address "10.0.3.100/32" {}`), "51", "53", 1), "a")
	var got [][2]string
	for _, i := range c.Node.Instances {
		for _, a := range i.Addresses {
			got = append(got, [2]string{i.VMAC, a.Interface})
		}
	}
	want := [][2]string{
		{"vrrp.51", "vrrp.51"}, {"vrrp.51", "eth1"}, {"vrrp.51", "vrrp.51"}, {"vrrp6.51", "vrrp6.51"}, {"", "eth0"}, {"web0", "web0"},
	}
	if len(got) != len(want) {
		t.Fatalf("the addresses are on %v, want %v", got, want)
	}
	for k := range want {
		if got[k] != want[k] {
			t.Errorf("address %d is on %v, want %v", k, got[k], want[k])
		}
	}
}
