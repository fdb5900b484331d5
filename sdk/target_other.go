//go:build !linux

package sdk

import "errors"

// setOptions refuses: marks and devices are Linux's.
func setOptions(_ int, mark uint32, device string) error {
	if mark == 0 && device == "" {
		return nil
	}
	return errors.New("a mark or a device needs Linux")
}

// hearErrors leaves it at what the system tells by itself.
func hearErrors(int, string) error { return nil }

// choosePortLate leaves it to the system.
func choosePortLate(int, string) {}
