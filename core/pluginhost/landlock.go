package pluginhost

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights of landlock(7) by which files are changed, those of a directory's entries among them, and those that a rule for a file
// may have. Reading and executing are left to the plugin's user.
const (
	writeFile = unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	writeTree = writeFile | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM
)

// landlockVersion is that of the kernel's landlock; 0 where it has none, or it is off.
func landlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// landlockRights are the rights that a version of landlock knows of those above, for directories and for files.
func landlockRights(version int) (tree, file uint64) {
	tree, file = writeTree, writeFile
	if version >= 2 {
		tree |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		tree, file = tree|unix.LANDLOCK_ACCESS_FS_TRUNCATE, file|unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	return tree, file
}

// landlock forbids the calling thread, and all that it starts, for good to write anywhere but at some paths, and to signal
// processes of others. The thread must be unable to gain privileges. Of landlock(7) older versions do less; version 0 nothing.
func landlock(version int, writable []string) error {
	if version == 0 {
		return nil
	}
	tree, file := landlockRights(version)
	attr := unix.LandlockRulesetAttr{Handled_access_fs: tree}
	if version >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("make a ruleset of landlock: %w", errno)
	}
	ruleset := int(fd)
	defer unix.Close(ruleset)
	for _, path := range writable {
		if err := permit(ruleset, path, tree, file); err != nil {
			return fmt.Errorf("let the plugin write to %s: %w", path, err)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); errno != 0 {
		return fmt.Errorf("enforce landlock: %w", errno)
	}
	return nil
}

// permit adds a file, or a directory with all below it, to what may be written.
func permit(ruleset int, path string, tree, file uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: file, Parent_fd: int32(fd)}
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		rule.Allowed_access = tree
	}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// existing are those of some paths that are there.
func existing(paths ...string) []string {
	var out []string
	for _, p := range paths {
		if _, err := os.Stat(p); !errors.Is(err, os.ErrNotExist) {
			out = append(out, p)
		}
	}
	return out
}
