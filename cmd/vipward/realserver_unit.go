package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vipward/vipward/core/desired"
	"github.com/vipward/vipward/core/kernel"
)

// realServerUnit is the unit of systemd that sets a real server up again at each start of the machine.
type realServerUnit struct {
	root string
	wish kernel.RealServer
}

const (
	unitPath = "/etc/systemd/system/vipward-realserver.service"
	// unitWanted is the link that systemctl enable makes.
	unitWanted = "/etc/systemd/system/sysinit.target.wants/vipward-realserver.service"
)

func (u realServerUnit) path() string   { return filepath.Join(u.root, unitPath) }
func (u realServerUnit) wanted() string { return filepath.Join(u.root, unitWanted) }

// command is the one that sets the server up.
func (u realServerUnit) command() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return self + " " + u.arguments(), nil
}

func (u realServerUnit) arguments() string {
	text := "realserver setup --vip " + strings.Join(addressTexts(u.wish.VIPs), ",")
	if len(u.wish.Tunnels) > 0 {
		text += " --method tun --tunnel " + strings.Join(u.wish.Tunnels, ",")
	}
	for _, t := range u.wish.Tunnels {
		if t == desired.GUE {
			text += fmt.Sprintf(" --port %d", u.wish.Port)
		}
	}
	if u.wish.Interface != "lo" {
		text += " --interface " + u.wish.Interface
	}
	return text
}

// text is the unit. It comes before the network, so that nothing answers for a VIP meanwhile and every service finds it there; but
// an interface other than lo is somebody else's to make.
func (u realServerUnit) text() ([]byte, error) {
	command, err := u.command()
	if err != nil {
		return nil, err
	}
	order := "DefaultDependencies=no\nConflicts=shutdown.target\nAfter=local-fs.target systemd-sysctl.service\n" +
		"Before=network-pre.target shutdown.target\nWants=network-pre.target\n"
	if u.wish.Interface != "lo" {
		device := "sys-subsystem-net-devices-" + strings.ReplaceAll(u.wish.Interface, "-", `\x2d`) + ".device"
		order = "DefaultDependencies=no\nConflicts=shutdown.target\nAfter=systemd-sysctl.service " + device + "\nWants=" + device + "\nBefore=shutdown.target\n"
	}
	return fmt.Appendf(nil, "# Written by vipward realserver setup; vipward realserver remove takes it away.\n"+
		"[Unit]\nDescription=VIPs of a real server\nDocumentation=man:vipward-realserver-setup(8)\n%s\n"+
		"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=%s --no-persist\n\n"+
		"[Install]\nWantedBy=sysinit.target\n", order, command), nil
}

// keep writes the unit and has it started with the machine; without VIPs it takes both away. It says what has changed.
func (u realServerUnit) keep() ([]string, error) {
	if len(u.wish.VIPs) == 0 {
		return u.forget()
	}
	if u.kept() {
		return nil, nil
	}
	text, err := u.text()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(u.wanted()), 0o755)
	}
	if err == nil {
		err = os.WriteFile(u.path(), text, 0o644)
	}
	if err == nil {
		err = os.Symlink(unitPath, u.wanted())
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("have it set up at each start of the machine: %w; --no-persist does without", err)
	}
	return []string{u.path() + ": written and enabled"}, nil
}

func (u realServerUnit) forget() ([]string, error) {
	var changed []string
	for _, path := range []string{u.wanted(), u.path()} {
		err := os.Remove(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return changed, fmt.Errorf("have it set up no more at each start of the machine: %w", err)
		}
		if err == nil {
			changed = append(changed, path+": removed")
		}
	}
	return changed, nil
}

// there tells whether a unit has been written.
func (u realServerUnit) there() bool {
	_, err := os.Lstat(u.path())
	return err == nil
}

// kept tells whether the machine's next start sets up just this.
func (u realServerUnit) kept() bool {
	want, err := u.text()
	if err != nil {
		return false
	}
	have, err := os.ReadFile(u.path())
	_, link := os.Lstat(u.wanted())
	return err == nil && link == nil && bytes.Equal(have, want)
}

func (u realServerUnit) check() []kernel.Fault {
	if u.kept() {
		return nil
	}
	problem := u.path() + " is missing: what is set up here does not outlast a restart of the machine"
	if u.there() {
		problem = u.path() + " is not enabled, or sets up something else at the next start of the machine"
	}
	return []kernel.Fault{{Problem: problem, Mend: "vipward " + u.arguments()}}
}
